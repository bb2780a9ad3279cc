use std::ffi::CString;
use std::os::fd::{AsFd, IntoRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid, initgroups, setgid, setsid, setuid};

use super::{Isolation, KeepError, User, die_with_parent, program_path, read_order};

/// Becomes the program.
pub(super) fn become_it() -> Result<(), KeepError> {
    let order = read_order()?;
    let (name, arguments) = order.run.split_first().ok_or_else(|| KeepError::Order("no program".into()))?;
    SigSet::empty().thread_set_mask().map_err(|error| KeepError::call("unblocking signals", error))?;
    setsid().map_err(|error| KeepError::call("setsid", error))?;
    if let Some(user) = &order.user {
        switch_to(user)?;
    }
    // A change of user clears it, so it comes last.
    if order.isolation == Some(Isolation::Subreaper) {
        die_with_parent(Signal::SIGKILL)?;
    }
    // Closed by the exec that succeeds or by the end of this process, and by nothing before: so the init that watches the
    // other end of the pipe is never told of a start that then fails.
    let until_then = std::io::stdin().as_fd().try_clone_to_owned();
    let _never_closed = until_then.map_err(|error| KeepError::call("dup(stdin)", error))?.into_raw_fd();
    let error = Command::new(program_path(name))
        .args(arguments)
        .current_dir(&order.directory)
        .envs(&order.environment)
        .stdin(Stdio::null())
        .exec();
    Err(KeepError::call(format!("running `{name}` in {}", order.directory.display()), error))
}

fn switch_to(user: &User) -> Result<(), KeepError> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let name = CString::new(user.name.as_str()).map_err(|error| KeepError::Order(error.to_string()))?;
    initgroups(&name, gid).map_err(|error| KeepError::call(format!("initgroups({})", user.name), error))?;
    setgid(gid).map_err(|error| KeepError::call(format!("setgid({gid})"), error))?;
    setuid(uid).map_err(|error| KeepError::call(format!("setuid({uid})"), error))
}

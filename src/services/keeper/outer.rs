use std::fs;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::unistd::{getegid, geteuid};

use super::super::this_program;
use super::{Isolation, KeepError, Order, Report, die_with_parent, read_order, report, write_order};

/// Opens the namespace, starts init in it, and ends after it. (A process that opens a process namespace stays outside;
/// only its children are in it.)
pub(super) fn keep() -> Result<(), KeepError> {
    let order = read_order()?;
    die_with_parent(Signal::SIGKILL)?;
    let _ = nix::sys::prctl::set_name(c"faultline-keep");
    let (how, because) = isolate()?;
    // A change of credentials clears it.
    die_with_parent(Signal::SIGKILL)?;
    report(&Report::Isolated { how, because })?;
    let mut init = Command::new(this_program())
        .args(["keep-service", "init"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| KeepError::call("starting init", error))?;
    let mut stdin = init.stdin.take();
    if let Some(stdin) = &mut stdin {
        write_order(&Order { isolation: Some(how), ..order }, stdin)?;
    }
    if let Ok(pid) = i32::try_from(init.id()) {
        report(&Report::Init { pid })?;
    }
    // Init can be waited for only once the kernel has killed all that was left in its namespace.
    init.wait().map_err(|error| KeepError::call("waiting for init", error))?;
    // Kept open until here: closed, it says that this process is gone.
    drop(stdin);
    Ok(())
}

fn isolate() -> Result<(Isolation, Option<String>), KeepError> {
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
    let Err(refused) = unshare(namespaces) else {
        return Ok((Isolation::Namespace, None));
    };
    let (uid, gid) = (geteuid(), getegid());
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER | namespaces) {
        let because = format!("no process namespace ({refused}), nor one in a user namespace ({error})");
        return Ok((Isolation::Subreaper, Some(because)));
    }
    for (file, content) in
        [("setgroups", "deny".into()), ("uid_map", format!("{uid} {uid} 1")), ("gid_map", format!("{gid} {gid} 1"))]
    {
        let path = format!("/proc/self/{file}");
        fs::write(&path, content).map_err(|error| KeepError::call(format!("writing {path}"), error))?;
    }
    Ok((Isolation::UserNamespace, None))
}

//! A user namespace of our own: with it, an ordinary user has every right over the network namespaces, mounts and
//! processes that the run itself makes, and over nothing else of the host (user_namespaces(7)).

use std::fs;
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

use super::KernelError;

const OBJECT: &str = "a user namespace for an unprivileged run";
const GO_ON: &str = "or run as root";

/// Moves this process into a new user namespace in which its user and group are root.
///
/// Has to be called before any thread exists: the kernel moves single-threaded processes only. Groups besides the
/// main one can no longer be set or dropped afterwards (`/proc/self/setgroups` is `deny`, without which an ordinary
/// user may not map a group).
///
/// # Errors
/// Where the host forbids user namespaces to ordinary users; the hint names the setting that does.
pub fn enter() -> Result<(), KernelError> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|errno| KernelError::new(OBJECT, "unshare(CLONE_NEWUSER)", errno).hint(explain(errno)))?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    if !geteuid().is_root() || getegid().as_raw() != 0 {
        let found = io::Error::other(format!("the maps were written, but this is user {} now", geteuid()));
        return Err(KernelError::new(OBJECT, "reading the user back", found).hint(format!("report this {GO_ON}")));
    }
    Ok(())
}

fn write(path: &'static str, text: &str) -> Result<(), KernelError> {
    fs::write(path, text).map_err(|error| {
        let hint = explain(error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw));
        KernelError::new(format!("{OBJECT} ({path})"), "write", error).hint(hint)
    })
}

/// What forbids user namespaces here, and how to go on.
fn explain(errno: Errno) -> String {
    if errno == Errno::EINVAL {
        return format!("threads exist already: this is a fault of Faultline, please report it, {GO_ON}");
    }
    match forbidden_by() {
        Some(setting) => format!("{setting}; {GO_ON}"),
        None if errno == Errno::ENOSPC || errno == Errno::EUSERS => {
            format!("too many user namespaces, or nested too deep: raise `sysctl user.max_user_namespaces` {GO_ON}")
        }
        None => format!(
            "a container runtime, a seccomp filter or a chroot forbids it: allow user namespaces there (for Docker: \
             `--security-opt seccomp=unconfined`) {GO_ON}"
        ),
    }
}

/// The setting of this host that forbids user namespaces to ordinary users, with the command that allows them; `None`
/// if no setting that can be read does.
pub fn forbidden_by() -> Option<String> {
    // Debian's switch, Ubuntu's switch, and the limit that every kernel has.
    let settings = [
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
    ];
    settings.into_iter().find_map(|(path, forbidding, command)| {
        let value = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
        (value.trim() == forbidding)
            .then(|| format!("{} is {forbidding}: allow user namespaces with `{command}`", path.replace('/', ".")))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const NOBODY: u32 = 65534;

    #[test]
    fn an_ordinary_user_becomes_root_of_a_namespace_of_its_own() {
        if !geteuid().is_root() {
            println!("skipped: needs root, to become an ordinary user");
            return;
        }
        if let Some(setting) = forbidden_by() {
            println!("skipped: {setting}");
            return;
        }
        let mut command = Command::new("unshare");
        command.args(["-n", "sh", "-c", "cat /proc/self/uid_map; ip link set lo up && echo up"]);
        command.current_dir("/").uid(NOBODY).gid(NOBODY);
        // A process that changed its user may not open its own files in /proc until it runs a program or says this.
        let enter = || {
            nix::sys::prctl::set_dumpable(true)?;
            enter().map_err(|error| error.source)
        };
        // SAFETY: between fork and exec `enter` allocates, which the C library's allocator allows there, and takes no
        // lock of ours; the child has one thread, as `enter` demands.
        unsafe { command.pre_exec(enter) };
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "65534", "1", "up"], "{output:?}");
    }

    #[test]
    fn the_error_after_a_thread_says_so() {
        let error = std::thread::scope(|scope| scope.spawn(enter).join()).unwrap().expect_err("there are threads");
        assert_eq!(error.call, "unshare(CLONE_NEWUSER)");
        assert!(error.hint.unwrap().contains("threads exist already"));
    }
}

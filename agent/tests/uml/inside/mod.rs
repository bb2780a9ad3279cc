//! What runs inside user-mode Linux and the emulated machine: tests of this program that the tests outside start there.

mod accuracy;
mod chosen;
mod chosen_crash;
mod chosen_traffic;
mod kill;
mod native_queue;
mod netem;
mod network;
mod orphans;
mod power_cut;
mod reboot;

use std::fs::{self, File};
use std::path::PathBuf;

use crate::machine::INSIDE;

/// Whether this runs inside; says so if not.
fn is_inside() -> bool {
    let inside = std::env::var_os(INSIDE).is_some();
    if !inside {
        println!("skipped: runs in user-mode Linux only, started by the tests of this program that boot one");
    }
    inside
}

/// Loads kernel modules by their path below the kernel's folder, without the ending, and what they depend on.
fn load(modules: &[&str]) {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    let folders = ["/usr/lib/uml/modules", "/lib/modules"].map(|folder| PathBuf::from(folder).join(&release));
    let folder = folders.into_iter().find(|folder| folder.exists()).expect("the modules of this kernel");
    let built_in = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    // Each line names a module and, behind the colon, what it needs, the nearest first.
    let dependencies = fs::read_to_string(folder.join("modules.dep")).unwrap();
    for module in modules {
        let name = format!("kernel/{module}.ko");
        if built_in.lines().any(|line| line == name) {
            continue;
        }
        let needs =
            dependencies.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(':')).unwrap_or_default();
        for path in needs.split_whitespace().rev().chain([name.as_str()]) {
            let path = folder.join(path);
            let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            match rustix::system::finit_module(&file, c"", 0) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}

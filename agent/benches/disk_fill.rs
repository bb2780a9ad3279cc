//! How long 20 GiB take to fill and to give back, on ext4 and xfs in sparse files, mounted where nobody else sees them.
//!
//! Aim: filled below one second. Ends with an error if a fill takes longer, or is not exact to one block.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a program that prints what it measured")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use faultline_agent::kernel::{HostKernel, Kernel};
use faultline_agent::plan::step::{SpaceFill, SpaceGoal};
use faultline_agent::plan::{Bite, Step};
use faultline_agent::units::Bytes;

const ROUNDS: usize = 5;
const FILLED: u64 = 20 << 30;
const DISK: u64 = 24 << 30;

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn mount(scratch: &Path, kind: &str) -> Result<Mounted, String> {
    let (image, point) = (scratch.join(format!("{kind}.image")), scratch.join(kind));
    std::fs::File::create(&image).and_then(|file| file.set_len(DISK)).map_err(|error| error.to_string())?;
    std::fs::create_dir(&point).map_err(|error| error.to_string())?;
    let (image, shown) = (image.display().to_string(), point.display().to_string());
    run(&format!("mkfs.{kind}"), &["-q", &image])?;
    let options = if kind == "ext4" { "loop,noinit_itable" } else { "loop" };
    run("mount", &["-t", kind, "-o", options, &image, &shown])?;
    Ok(Mounted(point))
}

/// Fills once: how long the fill and the giving back took, and how many blocks were missing.
fn fill(folder: &Path) -> Result<(Duration, Duration, f64), String> {
    let step = Step::SpaceFill(SpaceFill {
        folder: folder.to_path_buf(),
        device: folder.metadata().map_err(|error| error.to_string())?.dev(),
        goal: SpaceGoal::Bytes(Bytes::new(FILLED)),
        speed: None,
        scratch_name: None,
        inode: None,
    });
    let begun = Instant::now();
    let hold = HostKernel.apply(&step, Arc::new(|_| Ok(()))).map_err(|error| error.to_string())?.ok_or("no hold")?;
    let took = begun.elapsed();
    let evidence = hold.evidence();
    if evidence.bite != Bite::Yes {
        return Err(format!("it was not filled: {evidence:?}"));
    }
    let missing = evidence.measurements.iter().find(|one| one.name == "missing from the goal").map(|one| one.measured);
    let begun = Instant::now();
    drop(hold);
    Ok((took, begun.elapsed(), missing.ok_or("nothing was measured")?))
}

fn main() -> ExitCode {
    // Mounts of this process alone: they go with it, however it ends.
    let private = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string());
    if let Err(reason) = private.and_then(|()| run("mount", &["--make-rprivate", "/"])) {
        println!("skipped: disk-fill needs root and its own mounts: {reason}");
        return ExitCode::SUCCESS;
    }
    let scratch = tempfile::tempdir().unwrap();
    let mut code = ExitCode::SUCCESS;
    for kind in ["ext4", "xfs"] {
        let mounted = match mount(scratch.path(), kind) {
            Ok(mounted) => mounted,
            Err(reason) => {
                println!("skipped: no scratch {kind}: {reason}");
                continue;
            }
        };
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            match fill(&mounted.0) {
                Ok(round) => rounds.push(round),
                Err(reason) => {
                    println!("disk-fill {kind}: {reason}");
                    return ExitCode::FAILURE;
                }
            }
        }
        rounds.sort_unstable_by_key(|(took, ..)| *took);
        let (took, _, _) = rounds[ROUNDS / 2];
        let slowest = rounds[ROUNDS - 1].0;
        let back = rounds.iter().map(|(_, back, _)| *back).max().unwrap();
        let missing = rounds.iter().map(|(.., missing)| missing.abs()).fold(0.0, f64::max);
        println!(
            "disk-fill {kind}: 20 GiB in {took:.1?} (median of {ROUNDS}, slowest {slowest:.1?}), given back in at most \
             {back:.1?}, at most {missing} blocks from the goal"
        );
        if slowest > Duration::from_secs(1) || missing > 1.0 {
            println!("disk-fill {kind}: beyond the aim of one second and one block");
            code = ExitCode::FAILURE;
        }
    }
    code
}

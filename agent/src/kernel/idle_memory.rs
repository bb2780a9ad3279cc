//! What a process that mostly sleeps keeps in memory.

use std::fs;
use std::io;

/// Gives the pages of program text that start-up touched back to the page cache: a process that will sleep for hours
/// keeps what it wrote to and no more. Whatever runs next is mapped again from the page cache, or from disk.
///
/// # Errors
/// If `/proc/self/maps` cannot be read, or the kernel refuses.
pub fn release_program_text() -> io::Result<()> {
    for line in fs::read_to_string("/proc/self/maps")?.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(access), Some(offset)) = (words.next(), words.next(), words.next()) else { continue };
        // What may only be read is text or constants, except for addresses that the loader wrote and then protected;
        // those never lie at the beginning of the file.
        let is_as_in_file = access == "r-xp" || (access == "r--p" && offset.bytes().all(|digit| digit == b'0'));
        let address = |text: &str| usize::from_str_radix(text, 16).ok();
        let Some((Some(start), Some(end))) = range.split_once('-').map(|(start, end)| (address(start), address(end)))
        else {
            continue;
        };
        if !is_as_in_file || !words.nth(2).is_some_and(|path| path.starts_with('/')) {
            continue;
        }
        let start = std::ptr::with_exposed_provenance_mut(start);
        // SAFETY: the range is one mapping of this process, as the kernel has just listed it. It is file-backed and
        // was never written, so each page that is dropped is the same when it is mapped again.
        let result = unsafe { nix::libc::madvise(start, end - start.addr(), nix::libc::MADV_DONTNEED) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_goes_on_with_less() {
        let resident = || {
            let status = fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap().to_owned();
            line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        release_program_text().unwrap();
        let after = resident();
        assert!(after < before, "{before} kB before, {after} kB after");
    }
}

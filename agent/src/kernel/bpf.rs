//! What BPF there is on the host. Nothing is loaded from here.

use std::io;

use nix::errno::Errno;
use nix::libc;

/// The numbers of all BPF links; none on a kernel without BPF links.
///
/// # Errors
/// If they may not be listed: that needs CAP_SYS_ADMIN.
pub(crate) fn links() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    let mut last = 0;
    while let Some(next) = next_link(last)? {
        found.push(next);
        last = next;
    }
    Ok(found)
}

fn next_link(after: u32) -> io::Result<Option<u32>> {
    /// `BPF_LINK_GET_NEXT_ID` of `enum bpf_cmd`.
    const NEXT_LINK: libc::c_long = 31;
    // The beginning of `union bpf_attr`: start_id, next_id, open_flags; the kernel takes what is missing for 0.
    let mut attribute = [after, 0, 0];
    // SAFETY: the kernel reads and writes the 12 bytes whose address and size it is given, and they outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, NEXT_LINK, attribute.as_mut_ptr(), size_of_val(&attribute)) };
    if result == 0 {
        return Ok(Some(attribute[1]));
    }
    match Errno::last() {
        Errno::ENOENT | Errno::ENOSYS | Errno::EINVAL => Ok(None),
        error => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn links_are_listed_in_order_without_end() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let links = super::links().unwrap();
        assert!(links.is_sorted() && links.windows(2).all(|pair| pair[0] != pair[1]), "{links:?}");
    }
}

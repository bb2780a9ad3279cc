/// The mounts of this process's mount namespace, without the numbers that the kernel gives out anew.
pub(super) fn read() -> Result<Vec<String>, String> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(text.lines().map(line).collect())
}

/// Drops the ids of the mount, its parent and its device, and the numbers of peer groups
/// (`Documentation/filesystems/proc.rst`, section 3.5).
pub(super) fn line(line: &str) -> String {
    let fields = line.split(' ').skip(3).map(|field| match field.split_once(':') {
        Some((kind @ ("shared" | "master" | "propagate_from"), _)) => kind,
        _ => field,
    });
    fields.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_of_the_moment_are_dropped() {
        let read = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        insta::assert_snapshot!(super::line(read), @"/mnt1 /mnt2 rw,noatime master - ext3 /dev/root rw,errors=continue");
    }
}

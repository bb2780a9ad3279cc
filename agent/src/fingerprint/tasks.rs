use std::fs;

/// The processes that are stopped, or stopped by a tracer.
pub(super) fn read() -> Result<Vec<String>, String> {
    let entries = fs::read_dir("/proc").map_err(|error| format!("/proc: {error}"))?;
    let numbers = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    // A process may end while it is looked at: then it is not stopped.
    Ok(numbers.filter_map(|entry| stopped(&fs::read_to_string(entry.path().join("stat")).ok()?)).collect())
}

/// Reads `/proc/PID/stat`: the number, the name in parentheses (which may hold any character), the state, and as the
/// twentieth field from there the time of the start.
fn stopped(stat: &str) -> Option<String> {
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?;
    matches!(state, "T" | "t").then(|| format!("{pid} {name} since {started} is stopped"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = "7 (a) T (b) T 1 7 7 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 8000 1";
        assert_eq!(super::stopped(stat).as_deref(), Some("7 a) T (b since 4711 is stopped"));
        assert_eq!(super::stopped(&stat.replace(") T 1", ") S 1")), None);
    }
}

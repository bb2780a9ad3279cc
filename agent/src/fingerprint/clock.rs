use nix::time::{ClockId, clock_gettime};

/// How far steering by NTP may move the wall clock between two looks, in seconds.
const STEERED: f64 = 1.0;

/// The wall clock's lead over the clock since boot, and the offsets of a time namespace.
pub(super) fn read() -> Result<Vec<String>, String> {
    let seconds = |clock| {
        let time = clock_gettime(clock).map_err(|errno| format!("clock_gettime: {}", errno.desc()))?;
        #[allow(clippy::cast_precision_loss, reason = "milliseconds are enough")]
        Ok::<f64, String>(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
    };
    let lead = seconds(ClockId::CLOCK_REALTIME)? - seconds(ClockId::CLOCK_BOOTTIME)?;
    let mut lines = vec![format!("wall clock leads by {lead:.3} s")];
    if let Ok(offsets) = std::fs::read_to_string("/proc/self/timens_offsets") {
        lines.extend(offsets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    Ok(lines)
}

/// Whether two readings differ by no more than steering explains.
pub(super) fn agree(old: &[String], new: &[String]) -> bool {
    let lead = |line: &String| line.strip_prefix("wall clock leads by ")?.strip_suffix(" s")?.parse::<f64>().ok();
    let split = |lines: &[String]| -> (Vec<f64>, Vec<String>) {
        (lines.iter().filter_map(lead).collect(), lines.iter().filter(|line| lead(line).is_none()).cloned().collect())
    };
    let ((old_leads, old_rest), (new_leads, new_rest)) = (split(old), split(new));
    old_rest == new_rest
        && old_leads.len() == new_leads.len()
        && old_leads.iter().zip(&new_leads).all(|(old, new)| (old - new).abs() < STEERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_steering() {
        let reading = |lead: &str| vec![format!("wall clock leads by {lead} s"), "monotonic 0 0".into()];
        assert!(agree(&reading("100.000"), &reading("100.400")));
        assert!(!agree(&reading("100.000"), &reading("102.000")));
        assert!(!agree(&reading("100.000"), &[]));
        assert!(agree(&read().unwrap(), &read().unwrap()));
    }
}

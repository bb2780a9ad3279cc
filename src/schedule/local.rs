//! Local times as instants, where daylight saving makes some of them twice and leaves out others.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The instant of a local time: of one that exists twice (clocks go back) the first, of one that does not exist (clocks
/// go forward) the first instant after the gap. So instants follow each other as their local times do, and each local
/// time is one instant. `None` only at the ends of time (the years -9999 and 9999).
pub fn first_instant(zone: &TimeZone, local: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // With the later offset, the local time is an instant before the change of clocks.
            let earlier = after.to_timestamp(local).ok()?;
            zone.following(earlier).next().map(|change| change.timestamp())
        }
    }
}

/// A change of a zone's clocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockChange {
    /// The first instant with the new offset.
    pub at: Timestamp,
    /// By how much clocks are set forward (or back, if negative).
    pub by: SignedDuration,
}

/// The changes of a zone's clocks after one instant and until another (not included). Changes of a zone's name alone
/// are left out.
pub fn clock_changes(zone: &TimeZone, after: Timestamp, until: Timestamp) -> Vec<ClockChange> {
    let mut offset = zone.to_offset(after);
    let mut changes = Vec::new();
    for change in zone.following(after).take_while(|change| change.timestamp() < until) {
        if change.offset() != offset {
            let by = SignedDuration::from_secs(i64::from(change.offset().seconds() - offset.seconds()));
            changes.push(ClockChange { at: change.timestamp(), by });
            offset = change.offset();
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_is_there_twice_is_the_first_and_one_that_is_not_is_the_moment_after_the_gap() {
        for (zone, local, instant) in [
            ("Europe/Berlin", "2027-03-28T01:59:59", "2027-03-28T00:59:59Z"),
            ("Europe/Berlin", "2027-03-28T02:00:00", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2027-03-28T02:30:00", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2027-03-28T03:00:00", "2027-03-28T01:00:00Z"),
            ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
            // Half an hour of daylight saving, and a whole day that was left out.
            ("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00Z"),
            ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"),
        ] {
            let zone = TimeZone::get(zone).unwrap();
            let found = first_instant(&zone, local.parse().unwrap()).unwrap();
            assert_eq!(found, instant.parse::<Timestamp>().unwrap(), "{local} {zone:?}");
        }
    }
}

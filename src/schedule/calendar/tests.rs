use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::Calendar;
use super::recurrence::Recurrence;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

fn event(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

/// Every occurrence in a few months, as `from/until`.
fn occurrences(lines: &str) -> Vec<String> {
    let calendar = Calendar::parse(&event(lines), &berlin()).unwrap_or_else(|error| panic!("{error}\n{lines}"));
    let (from, until) = ("2026-10-01T00:00:00Z".parse().unwrap(), "2027-04-10T00:00:00Z".parse().unwrap());
    let mut found: Vec<_> = calendar.overlapping(from, until).collect();
    found.sort_by_key(|one| one.start);
    let short = |at: Timestamp| at.strftime("%m-%dT%H:%M").to_string();
    found.iter().map(|one| format!("{}/{}", short(one.start), short(one.end))).collect()
}

#[test]
fn days_and_times_of_all_kinds() {
    for (lines, expected) in [
        ("DTSTART;VALUE=DATE:20261225", "12-24T23:00/12-25T23:00"),
        ("DTSTART:20261225", "12-24T23:00/12-25T23:00"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", "12-23T23:00/12-26T23:00"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P1W", "12-23T23:00/12-30T23:00"),
        ("DTSTART:20261225T090000Z\nDTEND:20261225T100000Z", "12-25T09:00/12-25T10:00"),
        ("DTSTART:20261225T090000\nDURATION:PT1H30M", "12-25T08:00/12-25T09:30"),
        ("DTSTART;TZID=America/New_York:20261225T090000\nDURATION:PT1H", "12-25T14:00/12-25T15:00"),
        ("DTSTART;TZID=\"Europe/Berlin\":20261225T09\r\n 0000\nDURATION:PT1H", "12-25T08:00/12-25T09:00"),
        // A day on which clocks go back has 25 hours.
        ("DTSTART;VALUE=DATE:20261025", "10-24T22:00/10-25T23:00"),
        // Begun long before.
        ("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20261002", "12-31T23:00/10-01T22:00"),
    ] {
        assert_eq!(occurrences(lines), [expected], "{lines}");
    }
    assert_eq!(occurrences("DTSTART:20261225T090000\nSTATUS:CANCELLED"), Vec::<String>::new());
}

#[test]
fn recurrences_keep_their_local_time_and_lose_what_is_excluded() {
    assert_eq!(
        occurrences(
            "DTSTART;TZID=Europe/Berlin:20260101T100000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=1TH\n\
             EXDATE;TZID=Europe/Berlin:20261203T100000,20270107T100000\nEXDATE:20270304T090000Z\n\
             RDATE;TZID=Europe/Berlin:20261204T120000"
        ),
        [
            "10-01T08:00/10-01T09:00",
            "11-05T09:00/11-05T10:00",
            "12-04T11:00/12-04T12:00",
            "02-04T09:00/02-04T10:00",
            "04-01T08:00/04-01T09:00"
        ]
    );
    assert_eq!(
        occurrences("DTSTART;VALUE=DATE:20261230\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE;VALUE=DATE:20261231"),
        ["12-29T23:00/12-30T23:00", "12-31T23:00/01-01T23:00"]
    );
    // UNTIL in UTC is the last start that counts.
    assert_eq!(
        occurrences(
            "DTSTART;TZID=Europe/Berlin:20270101T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20270102T090000Z"
        )
        .len(),
        2
    );
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (lines, expected) in [
        ("DTSTART:20261225\nRRULE:FREQ=HOURLY", "line 5: `FREQ=HOURLY` of a recurrence rule is not understood"),
        (
            "DTSTART:20261225\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1",
            "line 5: `BYSETPOS=-1` of a recurrence rule is not understood",
        ),
        (
            "DTSTART:20261225\nRRULE:FREQ=DAILY;COUNT=3;UNTIL=20270101",
            "line 5: the recurrence rule has COUNT and UNTIL",
        ),
        ("DTSTART:20261225\nRRULE:INTERVAL=2", "line 5: the recurrence rule has no FREQ"),
        ("DTSTART:20261225\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "line 6: this event has more than one RRULE"),
        ("DTSTART:20261225\nEXRULE:FREQ=DAILY", "line 5: EXRULE of an event is not understood"),
        (
            "DTSTART;TZID=W. Europe Standard Time:20261225T100000",
            "line 4: the time zone `W. Europe Standard Time` is not in the IANA database",
        ),
        ("DTSTART:2026-12-25", "line 4: `2026-12-25` is no date (20261224) or time (20261224T180000)"),
        ("DTSTART:20261325", "line 4: `20261325` is no date (20261224) or time (20261224T180000)"),
        (
            "DTSTART:20261225T100000\nDTEND:20261225T090000",
            "line 5: this event ends before it begins, or lasts for a century",
        ),
        ("DTSTART:20261225\nDTEND:20261225T090000", "line 5: DTEND and DTSTART are not both days or both times"),
        ("DTSTART:20261225\nDURATION:PT5H", "line 5: `PT5H` is no duration, such as PT1H or P1D"),
        ("DTSTART:20261225\nRDATE;VALUE=PERIOD:20261225/P1D", "line 5: values of type PERIOD are not understood"),
        (
            "DTSTART:20261225\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261225",
            "line 5: a change of this and all later events (RANGE) is not understood",
        ),
        ("DTSTART:20261225\nSTATUS:MAYBE", "line 5: the status MAYBE is not understood"),
        ("SUMMARY:never", "line 3: this event has no DTSTART"),
        ("nonsense", "line 4: this is no content line, `NAME:VALUE`"),
    ] {
        let error = Calendar::parse(&event(lines), &berlin()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{lines}");
    }
    for (text, expected) in [
        ("", "line 1: it does not begin with BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261225\n", "line 2: this VEVENT has no end: is the file complete?"),
        ("BEGIN:VCALENDAR\n", "line 1: it has no END:VCALENDAR: is the file complete?"),
        ("BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR", "line 2: VTODO is not understood, only VEVENT is"),
        ("BEGIN:VCALENDAR\nCALSCALE:HEBREW\nEND:VCALENDAR", "line 2: the calendar HEBREW is not understood"),
        ("BEGIN:VCALENDAR\nVERSION:1.0\nEND:VCALENDAR", "line 2: version 1.0 is not understood, only 2.0"),
    ] {
        assert_eq!(Calendar::parse(text, &berlin()).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn components_within_and_beside_events_do_no_harm() {
    let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Team\r\nBEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\n\
                BEGIN:STANDARD\r\nDTSTART:16011028T030000\r\nRRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n\
                END:VTIMEZONE\r\nBEGIN:VEVENT\r\nDTSTART:20261225\r\nSUMMARY:Christmas\\, at last\r\nBEGIN:VALARM\r\n\
                TRIGGER:-PT15M\r\nDTSTART:20200101\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let calendar = Calendar::parse(text, &berlin()).unwrap();
    let all: Vec<_> = calendar.overlapping(Timestamp::UNIX_EPOCH, "2030-01-01T00:00:00Z".parse().unwrap()).collect();
    assert_eq!((all.len(), all[0].summary), (1, "Christmas, at last"));
}

/// Days on which rules recur, as another program has them.
const RECURRENCES: &str = include_str!("recurrences.txt");

#[test]
fn rules_recur_as_another_program_has_them() {
    let day = |text: &str| super::event::parse_date(text).unwrap();
    let mut compared = 0;
    for line in RECURRENCES.lines().filter(|line| !line.starts_with('#')) {
        let [first, rule, expected] = line.split('|').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let start: DateTime = day(first).at(9, 30, 0, 0);
        let recurrence = Recurrence::parse(rule, start, &berlin()).unwrap_or_else(|error| panic!("{rule}: {error}"));
        let expected: Vec<Date> = expected.split(',').map(day).collect();
        let end = if expected.len() == 40 { expected[39] } else { Date::constant(2029, 12, 31) };
        let days = std::iter::successors(Some(start.date()), |date| date.tomorrow().ok());
        let found: Vec<Date> = days
            .take_while(|date| *date <= end)
            .filter(|date| *date == start.date() || recurrence.occurs_on(*date))
            .collect();
        assert_eq!(found, expected, "{rule} from {first}");
        compared += 1;
    }
    assert!(compared >= 70, "{compared}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(BEGIN:VCALENDAR\n)?(BEGIN:VEVENT\n)?([A-Z;:=,\"0-9TZ+-]{0,30}\n){0,6}(END:VEVENT\n)?(END:VCALENDAR\n)?") {
        let _ = Calendar::parse(&text, &TimeZone::UTC);
    }

    #[test]
    fn no_event_makes_the_reader_panic(start in "[0-9]{8}(T[0-9]{6}Z?)?", rest in "(DTEND:[0-9]{8}(T[0-9]{6})?|DURATION:P[0-9]{1,12}[DW]|DURATION:PT[0-9]{1,12}[HMS]|RRULE:FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY);(COUNT|INTERVAL|BYMONTHDAY|BYDAY)=[0-9A-Z,-]{1,6})") {
        if let Ok(calendar) = Calendar::parse(&event(&format!("DTSTART:{start}\n{rest}")), &TimeZone::UTC) {
            let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
            let _ = calendar.overlapping(now, "2026-11-22T00:00:00Z".parse().unwrap()).count();
        }
    }
}

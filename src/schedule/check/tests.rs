use crate::document::load::{self, LoadError};

/// Every finding as `severity path: message`.
fn findings(spec: &str) -> Vec<String> {
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: {{ name: it }}\nspec:\n  experiment: other\n  {}\n",
        spec.trim().replace('\n', "\n  ")
    );
    all(&text)
}

fn all(text: &str) -> Vec<String> {
    let diagnostics = match load::from_text("x.yaml", text, &[]) {
        Ok(loaded) => loaded.into_iter().flat_map(|one| one.warnings).collect(),
        Err(LoadError::Wrong { diagnostics, .. }) => diagnostics,
        Err(other) => panic!("{other}"),
    };
    diagnostics.iter().map(|one| format!("{:?} {one}", one.severity)).collect()
}

#[test]
fn good_schedules_have_no_findings() {
    for spec in [
        "cron: \"0 10 * * mon-fri\"",
        "cron: \"@daily\"\ntimeZone: Asia/Kolkata",
        "cron: \"0 10 29 2 *\"\nwindows: [ { hours: 09:00-17:00 } ]\njitter: 1h",
        "cron: \"*/10 * * * *\"\njitter: 10m",
        "probabilistic: { groups: { a: { labels: { app: a } } }, meanTimeBetweenRuns: 5d, minimumGap: 5d }\nwindows: [ { days: mon-fri } ]",
        "cron: \"0 0 * * *\"\nblackouts: [ { date: 2026-12-25 }, { from: 2026-12-25, to: 2026-12-25 }, { from: 2026-12-25T10:00, to: 2026-12-26 } ]",
        "cron: \"0 0 * * *\"\nmissed: { policy: run-once, deadline: 3h }\nconcurrency: replace\nsuspend: true\nhistory: { keep: 1 }\nstartingDeadline: 5m",
    ] {
        assert_eq!(findings(spec), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn schedules_that_cannot_be_meant_are_refused() {
    let nine = "windows: [ { hours: 09:00-17:00 } ]";
    for (spec, expected) in [
        ("", "Error spec: it is not said when the experiment runs"),
        (
            "cron: \"0 1 * * *\"\nprobabilistic: { groups: { a: {} }, meanTimeBetweenRuns: 5d }",
            "Error spec.probabilistic: only one of `cron`, `probabilistic` can be given",
        ),
        (
            "cron: \"0 0 10 * * *\"",
            "Error spec.cron: `0 0 10 * * *` has 6 fields, and five are understood: leave out the seconds",
        ),
        (
            "cron: \"0 10 * *\"",
            "Error spec.cron: `0 10 * *` has 4 fields; a cron pattern has five: minute hour day month weekday",
        ),
        (
            "cron: \"0 10 * * monday\"",
            "Error spec.cron: `0 10 * * monday` is no cron pattern: it contains illegal character 'D' in part '1DAY'",
        ),
        ("cron: \"0 10 30 2 *\"", "Error spec.cron: this matches no day in the next 10 years"),
        (
            "cron: \"0 10 * * *\"\ntimeZone: Berlin",
            "Error spec.timeZone: `Berlin` is no time zone of the IANA database, such as Europe/Berlin or UTC; did you mean Europe/Berlin?",
        ),
        (
            "cron: \"0 10 * * *\"\ntimeZone: CET",
            "Error spec.timeZone: `CET` is no time zone of the IANA database, such as Europe/Berlin or UTC",
        ),
        (
            "cron: \"0 10 * * *\"\ntimeZone: Europe/Brlin",
            "Error spec.timeZone: `Europe/Brlin` is no time zone of the IANA database, such as Europe/Berlin or UTC; did you mean Europe/Berlin?",
        ),
        (
            "cron: \"0 10 * * *\"\nwindows: [ { hours: 9-17 } ]",
            "Error spec.windows[0].hours: `9-17` is not hours of a day, such as 09:00-17:00, or 22:00-06:00 past midnight",
        ),
        (
            "cron: \"0 10 * * *\"\nwindows: [ { days: 1-5 } ]",
            "Error spec.windows[0].days: `1-5` is not days of the week, such as mon-fri or sat,sun",
        ),
        ("cron: \"0 10 * * *\"\nblackouts: [ { } ]", "Error spec.blackouts[0]: it is not said when this blackout is"),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { date: 2026-12-25, calendar: x.ics } ]",
            "Error spec.blackouts[0]: a blackout is one of a date, a range and a calendar",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { from: 2026-12-25 } ]",
            "Error spec.blackouts[0].from: there is no `to` for it",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { from: 2026-12-25, to: 2026-12-24 } ]",
            "Error spec.blackouts[0].to: it ends before it begins",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { date: 2026-12-25T10:00 } ]",
            "Error spec.blackouts[0].date: this is a time, not a day",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { date: 2026-02-30 } ]",
            "Error spec.blackouts[0].date: `2026-02-30` is not a date (2026-12-24) or a date and time (2026-12-24T18:00)",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { from: 2026-12-25T10:00Z, to: 2026-12-26 } ]",
            "Error spec.blackouts[0].from: `2026-12-25T10:00Z` is not a date (2026-12-24) or a date and time (2026-12-24T18:00); times are in the schedule's `timeZone`",
        ),
        (
            "cron: \"0 10 * * *\"\nblackouts: [ { calendarText: BEGIN } ]",
            "Error spec.blackouts[0].calendarText: the calendar is not understood: line 1: this is no content line, `NAME:VALUE`",
        ),
        ("cron: \"0 10 * * *\"\njitter: 500ms", "Error spec.jitter: jitter is drawn in whole seconds"),
        (
            "cron: \"*/10 * * * *\"\njitter: 11m",
            "Error spec.jitter: `11m` is longer than the 10m from one run to the next",
        ),
        ("cron: \"0 10 * * *\"\nstartingDeadline: 0", "Error spec.startingDeadline: nothing starts in no time at all"),
        ("cron: \"0 10 * * *\"\nmissed: { policy: run-once }", "Error spec.missed: `run-once` needs a deadline"),
        (
            "cron: \"0 10 * * *\"\nmissed: { deadline: 1h }",
            "Error spec.missed.deadline: with `policy: skip` no missed run is made up for",
        ),
        (
            "cron: \"0 10 * * *\"\nmissed: { policy: run-once, deadline: 30s }",
            "Error spec.missed.deadline: what is not late is not missed",
        ),
        ("cron: \"0 10 * * *\"\nhistory: { keep: 0 }", "Error spec.history.keep: nothing would be kept"),
        ("cron: \"0 10 * * *\"\nconcurrency: queue", "Error spec.concurrency: `queue` is not known here"),
        (
            "cron: \"0 10 13 * fri\"",
            "Warning spec.cron: days that fit the day of the month or the day of the week match: either is enough",
        ),
        (
            "probabilistic: { groups: { a: {} }, meanTimeBetweenRuns: 5d }",
            "Error spec.probabilistic: runs by chance need windows: say when somebody is there to see them",
        ),
        (
            &format!("probabilistic: {{ groups: {{}}, meanTimeBetweenRuns: 5d }}\n{nine}"),
            "Error spec.probabilistic.groups: nobody takes part",
        ),
        (
            &format!("probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 5d, minimumGap: 6d }}\n{nine}"),
            "Error spec.probabilistic.minimumGap: `6d` is above the mean, 5d",
        ),
        (
            &format!("probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 5d, minimumGap: 2h }}\n{nine}"),
            "Error spec.probabilistic.minimumGap: `2h` and the mean, `5d`, are not in the same unit",
        ),
        (
            &format!("probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 90m }}\n{nine}"),
            "Error spec.probabilistic.meanTimeBetweenRuns: `90m` is not a whole number of days or hours in which a window is open, such as 5d or 40h",
        ),
        (
            &format!("probabilistic: {{ groups: {{ a: {{}} }}, meanTimeBetweenRuns: 5d }}\njitter: 5m\n{nine}"),
            "Error spec.jitter: a probabilistic schedule has no jitter",
        ),
        (
            "probabilistic: { groups: { a: {} }, meanTimeBetweenRuns: 5d }\nwindows: [ { days: mon } ]\nblackouts: [ { from: 2020-01-01, to: 2099-01-01 } ]",
            "Error spec.probabilistic: no window is open in the next 10 years",
        ),
    ] {
        assert_eq!(findings(spec), [expected], "{spec}");
    }
}

#[test]
fn a_window_that_never_meets_the_pattern_is_refused() {
    let found = findings("cron: \"0 3 * * *\"\nwindows: [ { hours: 09:00-17:00 } ]");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Error spec.cron: none of its times is open until 20"), "{found:?}");
    assert!(found[0].ends_with("(the first: outside the windows)"), "{found:?}");
    let found = findings("cron: \"30 16 * * *\"\njitter: 45m\nwindows: [ { hours: 09:00-17:00 } ]");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("Error spec.jitter: `45m` after 20"), "{found:?}");
    assert!(found[0].ends_with(" 16:30 may be outside the windows"), "{found:?}");
}

#[test]
fn a_calendar_file_of_a_text_without_a_folder_is_not_read() {
    let found = findings("cron: \"0 10 * * *\"\nblackouts: [ { calendar: /etc/hostname } ]");
    assert_eq!(
        found,
        ["Error spec.blackouts[0].calendar: the calendar /etc/hostname cannot be read: the document is in no folder; \
          give the text by `calendarText`"]
    );
}

#[test]
fn an_inline_experiment_is_checked_where_it_stands_and_a_named_one_is_looked_for_in_the_file() {
    let experiment = "hypothesis: \"\"\n    signals:\n      shop: { tcp: { address: \"127.0.0.1:80\", rate: 50/s } }\n    \
                      steadyState: [ { signal: shp, errors: { below: 1% } } ]\n    method:\n    - observe: 0s\n    \
                      - inject: { fault: { process-pause: {} }, on: nobody, for: 30s }\n    colour: red";
    let text = format!(
        "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: {{ name: it }}\nspec:\n  cron: \"@daily\"\n  experiment:\n    {experiment}\n"
    );
    let found = all(&text);
    for expected in [
        "Error spec.experiment.hypothesis: the hypothesis is empty",
        "Error spec.experiment.steadyState[0].signal: there is no signal `shp`",
        "Error spec.experiment.method[0].observe: this must be longer than nothing",
        "Error spec.experiment: there is no `colour` here",
    ] {
        assert!(found.iter().any(|found| found == expected), "{expected}\n{found:#?}");
    }
    let schedule = "apiVersion: faultline.dev/v1\nkind: Schedule\nmetadata: { name: it }\nspec: { cron: \"@daily\", experiment: NAME }\n";
    let beside = include_str!("../../../experiments/quickstart.yaml");
    let with = |name: &str| all(&format!("{beside}\n---\n{}", schedule.replace("NAME", name)));
    assert_eq!(with("checkout-survives-a-slow-backend"), Vec::<String>::new());
    assert_eq!(with("known-elsewhere"), Vec::<String>::new());
    assert_eq!(
        with("checkout-survive-a-slow-backend"),
        ["Warning spec.experiment: there is no experiment `checkout-survive-a-slow-backend` in this file"]
    );
}

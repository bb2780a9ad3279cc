use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use super::notation::notation;

/// A time zone by its name in the IANA database: `Europe/Berlin`, `UTC`.
///
/// Abbreviations (`CET`, `PST`) and fixed offsets are refused: they say nothing of daylight saving, or lie about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(TimeZone);

notation!(
    ZoneName,
    "a time zone of the IANA database, such as Europe/Berlin or UTC",
    r"^(UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+)$"
);

impl ZoneName {
    /// Its rules.
    pub fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for ZoneName {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl FromStr for ZoneName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("utc") {
            return Ok(Self::default());
        }
        let found = TimeZone::get(text).ok().filter(|_| text.contains('/'));
        found.map(Self).ok_or_else(|| {
            let near = near(text).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            format!("`{text}` is no time zone of the IANA database, such as Europe/Berlin or UTC{near}")
        })
    }
}

/// A zone with the same city, or nearly the same name.
fn near(text: &str) -> Option<String> {
    let names: Vec<String> =
        jiff::tz::db().available().map(|name| name.to_string()).filter(|name| name.contains('/')).collect();
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted = city(text).replace(' ', "_");
    names
        .iter()
        .find(|name| city(name) == wanted)
        .cloned()
        .or_else(|| crate::document::suggest::nearest(text, names.iter().map(String::as_str)).map(str::to_owned))
}

impl fmt::Display for ZoneName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

//! Rows as both stores give them: texts and whole numbers, nothing else.
//!
//! Times are microseconds since 1970-01-01 UTC, lists and maps are JSON texts, flags are 0 and 1, and what is one of
//! several is its word.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::error::Fault;

/// Reads the columns of a row.
pub(super) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, Fault>;
    fn optional_text(&self, column: &'static str) -> Result<Option<String>, Fault>;
    fn number(&self, column: &'static str) -> Result<i64, Fault>;
    fn optional_number(&self, column: &'static str) -> Result<Option<i64>, Fault>;

    fn flag(&self, column: &'static str) -> Result<bool, Fault> {
        Ok(self.number(column)? != 0)
    }

    fn count(&self, column: &'static str) -> Result<u32, Fault> {
        let number = self.number(column)?;
        u32::try_from(number).map_err(|_| Fault::Foreign { column, value: number.to_string() })
    }

    fn time(&self, column: &'static str) -> Result<Timestamp, Fault> {
        moment(column, self.number(column)?)
    }

    fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, Fault> {
        self.optional_number(column)?.map(|number| moment(column, number)).transpose()
    }

    fn word<T: FromStr>(&self, column: &'static str) -> Result<T, Fault> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Fault::Foreign { column, value: text })
    }

    fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Fault> {
        let text = self.text(column)?;
        serde_json::from_str(&text).map_err(|_| Fault::Foreign { column, value: text })
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, Fault> {
        Ok(self.try_get(column)?)
    }

    fn optional_text(&self, column: &'static str) -> Result<Option<String>, Fault> {
        Ok(self.try_get(column)?)
    }

    fn number(&self, column: &'static str) -> Result<i64, Fault> {
        Ok(self.try_get(column)?)
    }

    fn optional_number(&self, column: &'static str) -> Result<Option<i64>, Fault> {
        Ok(self.try_get(column)?)
    }
}

fn moment(column: &'static str, microseconds: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(microseconds).map_err(|_| Fault::Foreign { column, value: microseconds.to_string() })
}

/// A time as it is kept.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A time span, added to a time, as it is kept.
pub(super) fn after(time: Timestamp, span: std::time::Duration) -> i64 {
    micros(time).saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

/// A value as the JSON text that is kept of it.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::Sql(sqlx::Error::Encode(error.into())))
}

/// A text that is not one of the words of a list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of {1}")]
pub struct UnknownWord(pub(super) String, pub(super) String);

/// Declares an enumeration with the word by which each of its values is stored, printed and read.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$what])* #[serde(rename = $word)] $value,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value,)+];

            /// Its word, in the store and everywhere else.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::store::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err($crate::store::columns::unknown_word(text, Self::ALL)),
                }
            }
        }
    };
}
pub(super) use words;

pub(super) fn unknown_word(text: &str, all: &[impl fmt::Display]) -> UnknownWord {
    UnknownWord(text.to_owned(), all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

//! Where a store is: `sqlite:PATH`, a plain path, or `postgres://…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// One SQLite file, made if it does not exist. Not on a network file system: SQLite's locks do not hold there.
    Sqlite(PathBuf),
    /// A PostgreSQL database that several controllers may share, as a URL. `?sslmode=verify-full` demands TLS and checks
    /// the server's certificate and name; without it TLS is used if the server offers it, and nothing is checked.
    Postgres(String),
}

/// An address that names no store.
#[derive(Debug, thiserror::Error)]
#[error("`{given}` is no store: {why}")]
pub struct AddressError {
    given: String,
    why: String,
}

impl AddressError {
    /// The way on.
    pub fn hint(&self) -> &'static str {
        "write sqlite:/var/lib/faultline/store.db (or only the path), or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full"
    }
}

impl StoreAddress {
    /// The SQLite file of a data folder.
    pub fn in_folder(data: &Path) -> Self {
        Self::Sqlite(data.join("store.db"))
    }
}

impl FromStr for StoreAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        // What may hold a password is not repeated.
        let wrong = |given: &str, why: &str| AddressError { given: given.to_owned(), why: why.to_owned() };
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match PgConnectOptions::from_str(text) {
                Ok(_) => Ok(Self::Postgres(text.to_owned())),
                Err(error) => Err(wrong("postgres://…", &innermost(&error))),
            };
        }
        if let Some((scheme, _)) = text.split_once("://")
            && scheme != "sqlite"
        {
            return Err(wrong(&format!("{scheme}://…"), "only SQLite and PostgreSQL are known"));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
        match path {
            "" => Err(wrong(text, "it names no file")),
            ":memory:" => Err(wrong(text, "runs must survive a restart, and memory does not")),
            path => Ok(Self::Sqlite(path.into())),
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

/// Without the password.
impl fmt::Display for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => {
                    write!(formatter, "postgres://{}@", options.get_username())?;
                    match options.get_socket() {
                        Some(socket) => write!(formatter, "{}", socket.display())?,
                        None => write!(formatter, "{}:{}", options.get_host(), options.get_port())?,
                    }
                    write!(formatter, "/{}", options.get_database().unwrap_or(options.get_username()))
                }
                Err(_) => formatter.write_str("postgres://…"),
            },
        }
    }
}

impl fmt::Debug for StoreAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::StoreAddress;

    #[test]
    fn addresses_are_read_and_never_show_a_password() {
        let read = |text: &str| match text.parse::<StoreAddress>() {
            Ok(address) => format!("{address:?}"),
            Err(error) => format!("{error}\n  hint: {}", error.hint()),
        };
        let all = [
            "sqlite:/var/lib/faultline/store.db",
            "sqlite:///var/lib/faultline/store.db",
            "sqlite:data/store.db",
            "/a path/with#odd?letters%20.db",
            "postgres://faultline:secret@db.example:5433/fleet?sslmode=verify-full",
            "postgresql://faultline:secret@db.example",
            "postgres:///fleet?host=/run/postgresql&user=faultline&password=secret",
            "postgres://faultline:secret@db.example/fleet?sslmode=perhaps",
            "mysql://root:secret@db.example/fleet",
            "sqlite::memory:",
            "",
        ];
        let shown = all.map(|text| format!("{}\n", read(text))).concat();
        assert!(!shown.contains("secret"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        StoreAddress(sqlite:/var/lib/faultline/store.db)
        StoreAddress(sqlite:/var/lib/faultline/store.db)
        StoreAddress(sqlite:data/store.db)
        StoreAddress(sqlite:/a path/with#odd?letters%20.db)
        StoreAddress(postgres://faultline@db.example:5433/fleet)
        StoreAddress(postgres://faultline@db.example:5432/faultline)
        StoreAddress(postgres://faultline@/run/postgresql/fleet)
        `postgres://…` is no store: unknown value "perhaps" for `ssl_mode`
          hint: write sqlite:/var/lib/faultline/store.db (or only the path), or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full
        `mysql://…` is no store: only SQLite and PostgreSQL are known
          hint: write sqlite:/var/lib/faultline/store.db (or only the path), or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full
        `sqlite::memory:` is no store: runs must survive a restart, and memory does not
          hint: write sqlite:/var/lib/faultline/store.db (or only the path), or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full
        `` is no store: it names no file
          hint: write sqlite:/var/lib/faultline/store.db (or only the path), or postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full
        "#);
    }
}

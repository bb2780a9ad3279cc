use std::fmt;
use std::str::FromStr;

use tonic::codegen::http::Uri;

/// Where a controller listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A text that is no address of a controller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a controller: {problem}")]
pub struct AddressError {
    text: String,
    problem: &'static str,
}

impl Address {
    /// As the origin of requests.
    pub(crate) fn origin(&self) -> Uri {
        Uri::from_str(&format!("https://{self}")).unwrap_or_else(|_| Uri::from_static("https://controller"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(formatter, "[{host}]:{port}") } else { write!(formatter, "{host}:{port}") }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// `https://HOST:PORT` or `HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = |problem| AddressError { text: text.to_owned(), problem };
        let rest = match text.split_once("://") {
            Some(("https", rest)) => rest,
            Some(_) => return Err(error("it begins with another scheme than https")),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = rest.rsplit_once(':').ok_or_else(|| error("it has no port"))?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| error("its port is no number"))?;
        let bare = match host.strip_prefix('[') {
            Some(inside) => inside.strip_suffix(']').ok_or_else(|| error("a bracket is not closed"))?,
            None if host.contains(':') => return Err(error("an IPv6 address is written in brackets")),
            None => host,
        };
        if bare.is_empty() || bare.contains(['/', '@', ' ', '?', '#', '[', ']']) {
            return Err(error("it has no host"));
        }
        Ok(Self { host: bare.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_scheme() {
        for (text, told) in [
            ("https://c.example:7443", "c.example:7443"),
            ("https://c.example:7443/", "c.example:7443"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("https://[fd00::1]:7443", "[fd00::1]:7443"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), told);
        }
        for (text, problem) in [
            ("http://c:7443", "another scheme"),
            ("c", "no port"),
            ("c:x", "no number"),
            ("c:0", "no number"),
            ("fd00::1:7443", "in brackets"),
            ("https://:7443", "no host"),
            ("https://user@c:7443", "no host"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}

use std::fmt;
use std::str::FromStr;

use faultline_agent::credentials::{CredentialsError, Secret, TokenError, TokenId};

/// With which every such token begins.
const KIND: &str = "fla1";

/// A token for the API: `fla1.ID.SECRET`. The controller keeps its id and the hash of its secret only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its public part.
    pub id: TokenId,
    /// Its secret part.
    pub secret: Secret,
}

impl ApiToken {
    /// A new one.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<Self, CredentialsError> {
        Ok(Self { id: TokenId::random()?, secret: Secret::random()? })
    }
}

/// The token itself, secret included: for whoever is to use it, and for no log.
impl fmt::Display for ApiToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{KIND}.{}.{}", self.id, self.secret.reveal())
    }
}

impl FromStr for ApiToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let error = |problem| TokenError { kind: "token for the API", problem };
        let mut parts = text.trim().split('.');
        match parts.next() {
            Some(KIND) => {}
            Some("flt1") => return Err(error("it is a token to enrol a host")),
            _ => return Err(error("it does not begin with fla1.")),
        }
        let (Some(id), Some(secret), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error("it is not of three parts: was it cut short?"));
        };
        Ok(Self {
            id: id.parse().map_err(|_| error("its second part is not 16 hexadecimal digits"))?,
            secret: secret.parse().map_err(|_| error("its third part is not 43 letters of base64url"))?,
        })
    }
}

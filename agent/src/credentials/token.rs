use std::fmt;
use std::str::FromStr;

use super::error::CredentialsError;
use super::fingerprint::Fingerprint;
use super::secret::{Secret, TokenError, TokenId};

/// With which every such token begins.
const KIND: &str = "flt1";

/// What a host needs to become an agent, in one string: `flt1.ID.SECRET.FINGERPRINT`. The fingerprint is that of the
/// authority's certificate, so that the host knows its controller before it says the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// Its public part.
    pub id: TokenId,
    /// Its secret part.
    pub secret: Secret,
    /// The SHA-256 of the authority's certificate.
    pub authority: Fingerprint,
}

impl EnrolmentToken {
    /// A new one, for controllers of this authority.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random(authority: Fingerprint) -> Result<Self, CredentialsError> {
        Ok(Self { id: TokenId::random()?, secret: Secret::random()?, authority })
    }
}

/// The token itself, secret included: for whoever is to use it, and for no log.
impl fmt::Display for EnrolmentToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{KIND}.{}.{}.{}", self.id, self.secret.reveal(), self.authority)
    }
}

impl FromStr for EnrolmentToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let error = |problem| TokenError { kind: "enrolment token", problem };
        let mut parts = text.trim().split('.');
        let (kind, id, secret, authority) = (parts.next(), parts.next(), parts.next(), parts.next());
        match kind {
            Some(KIND) => {}
            Some("fla1") => return Err(error("it is a token for the API")),
            _ => return Err(error("it does not begin with flt1.")),
        }
        let (Some(id), Some(secret), Some(authority), None) = (id, secret, authority, parts.next()) else {
            return Err(error("it is not of four parts: was it cut short?"));
        };
        Ok(Self {
            id: id.parse().map_err(|_| error("its second part is not 16 hexadecimal digits"))?,
            secret: secret.parse().map_err(|_| error("its third part is not 43 letters of base64url"))?,
            authority: authority.parse().map_err(|_| error("its fourth part is not 43 letters of base64url"))?,
        })
    }
}

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::error::CredentialsError;
use super::pair::{Controller, Credentials};

/// A new key of this host (ECDSA P-256), with no certificate yet. It is only in memory: a crash forgets it, and the pair
/// on disk still stands.
pub struct KeyRequest {
    key: KeyPair,
}

impl std::fmt::Debug for KeyRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeyRequest(…)")
    }
}

impl KeyRequest {
    /// A new key.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, CredentialsError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| {
            CredentialsError::new("a key", "cannot be made", "getrandom(2) failed: is this a very old kernel?")
                .because(error)
        })?;
        Ok(Self { key })
    }

    /// The signing request (PKCS #10, RFC 2986) in PEM. It says no name: the controller decides that.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn signing_request(&self) -> Result<String, CredentialsError> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        let text = parameters.serialize_request(&self.key).and_then(|request| request.pem());
        text.map_err(|error| {
            CredentialsError::new("a signing request", "cannot be made", "this is a fault of the program")
                .because(error)
        })
    }

    /// Takes what the controller signed.
    ///
    /// # Errors
    /// If the certificate is not for this key, is none of an agent, is not valid now, or was not signed by an authority
    /// of the trust bundle.
    pub fn accept(
        self,
        certificate_chain: &str,
        trust_bundle: &str,
        controller: Controller,
        now: Timestamp,
    ) -> Result<Credentials, CredentialsError> {
        Credentials::checked(self.key.serialize_pem(), certificate_chain, trust_bundle, controller, now)
    }
}

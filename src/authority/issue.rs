use std::collections::BTreeMap;
use std::time::Duration;

use faultline_agent::credentials::{Fingerprint, certificates, label_uri};
use jiff::Timestamp;
use rcgen::{
    CertificateSigningRequestParams, DnType, Error, ExtendedKeyUsagePurpose, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, SanType,
};

use super::authorities::parameters;
use super::error::{AuthorityError, IssueError};
use super::{AUTHORITY_LIFE, AgentName, Authority, PeerIdentity, Serial};

/// The longest signing request that is read, in bytes of PEM. Ours are about 400 bytes.
const LONGEST: usize = 8 * 1024;

/// A point of P-256, uncompressed (SEC 1, 2.3.3).
const POINT: usize = 65;

/// What an agent gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// Whom it names, and its serial number; to be recorded before it is handed out, so that it can be revoked.
    pub identity: PeerIdentity,
    /// PEM: the agent's certificate, then that of the authority.
    pub certificate_chain: String,
    /// PEM of all authorities that are trusted now.
    pub trust_bundle: String,
    /// The authority that signed it.
    pub authority: Fingerprint,
    /// Those in the bundle.
    pub trusts: Vec<Fingerprint>,
}

impl Authority {
    /// Signs a certificate for an agent. The name and the labels are the controller's to decide; of the request only the
    /// key is taken.
    ///
    /// # Errors
    /// If the request is too long, malformed, not signed by its own key, or the key is not ECDSA on P-256, or the labels
    /// cannot be bound (see [`faultline_agent::credentials::is_plain_label`]).
    pub fn issue_agent(
        &self,
        signing_request: &str,
        name: &AgentName,
        labels: &BTreeMap<String, String>,
        life: Duration,
        now: Timestamp,
    ) -> Result<IssuedCertificate, IssueError> {
        if signing_request.len() > LONGEST {
            return Err(IssueError::TooLong { most: LONGEST });
        }
        if life.is_zero() || life > AUTHORITY_LIFE {
            return Err(IssueError::Life(life));
        }
        let request = CertificateSigningRequestParams::from_pem(signing_request).map_err(|error| match error {
            Error::InvalidCertificationRequestSignature => IssueError::WrongSignature,
            Error::UnsupportedSignatureAlgorithm => IssueError::Key,
            _ => IssueError::Malformed,
        })?;
        let key = &request.public_key;
        // The algorithm is that of the signature; the length tells P-256 from the other curves.
        if *PublicKeyData::algorithm(key) != PKCS_ECDSA_P256_SHA256 || key.der_bytes().len() != POINT {
            return Err(IssueError::Key);
        }
        let authorities = self.now();
        let mut wanted = parameters(Serial::random().map_err(AuthorityError::from)?, now, life);
        wanted.distinguished_name.push(DnType::CommonName, name.as_str());
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let uris = std::iter::once(name.uri()).chain(labels.iter().map(|(name, value)| label_uri(name, value)));
        let uris = uris.map(|uri| Ok(SanType::URI(uri.try_into().map_err(AuthorityError::from)?)));
        wanted.subject_alt_names = uris.collect::<Result<_, IssueError>>()?;
        let issuer = authorities.issuer()?;
        let pem = wanted.signed_by(key, &issuer).map_err(AuthorityError::from)?.pem();
        let read = certificates(&pem).and_then(|read| PeerIdentity::of(read.first()?).ok());
        // Read as the port for agents will read it: what cannot be bound is refused here, not there.
        let identity = read.filter(|read| read.labels == *labels).ok_or(IssueError::Labels)?;
        let certificate_chain = pem + authorities.signing_pem();
        let authority = Fingerprint::of(&authorities.signing_certificate()?);
        let trusts = authorities.trusted()?.iter().map(Fingerprint::of).collect();
        Ok(IssuedCertificate { identity, certificate_chain, trust_bundle: authorities.bundle(), authority, trusts })
    }
}

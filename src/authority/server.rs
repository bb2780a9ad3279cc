use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use faultline_agent::credentials::{CertificateFacts, Serial, certificates, private_file, tls};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::SERVER_LIFE;
use super::authorities::{Authorities, parameters};
use super::error::AuthorityError;

/// The controller's own certificate, as handshakes use it. Replaced while the ports are open.
#[derive(Debug)]
pub(super) struct ServerCertificate(RwLock<Current>);

#[derive(Debug, Clone)]
struct Current {
    certified: Arc<CertifiedKey>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    /// PEM (PKCS #8).
    key: String,
    /// PEM: the controller's own, then that of the authority, by whose hash a host that enrols knows it.
    certificate_chain: String,
}

impl ServerCertificate {
    /// The one on disk, if it is of the authority that signs and not due; else a new one.
    pub(super) fn open(folder: &Path, authorities: &Authorities, now: Timestamp) -> Result<Self, AuthorityError> {
        let kept = private_file::read(&file(folder))?;
        // One that cannot be read is of no worth: another is made in its place.
        let kept = kept.and_then(|text| serde_json::from_str::<Stored>(&text).ok());
        let kept = kept.filter(|stored| stored.certificate_chain.ends_with(authorities.signing_pem()));
        let kept = kept.and_then(|stored| current(&stored).ok()).filter(|current| !current.is_due(now));
        match kept {
            Some(current) => Ok(Self(RwLock::new(current))),
            None => Ok(Self(RwLock::new(make(folder, authorities, now)?))),
        }
    }

    pub(super) fn not_after(&self) -> Timestamp {
        self.current().not_after
    }

    pub(super) fn renew_if_due(
        &self,
        folder: &Path,
        authorities: &Authorities,
        now: Timestamp,
    ) -> Result<bool, AuthorityError> {
        let current = self.current();
        // A switch to another authority may have failed after it was written and before this was made anew.
        let other = current.certified.cert.last() != Some(&authorities.signing_certificate()?);
        let due = other || current.is_due(now);
        if due {
            self.renew(folder, authorities, now)?;
        }
        Ok(due)
    }

    pub(super) fn renew(&self, folder: &Path, authorities: &Authorities, now: Timestamp) -> Result<(), AuthorityError> {
        let made = make(folder, authorities, now)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = made;
        Ok(())
    }

    fn current(&self) -> Current {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

impl Current {
    /// At two thirds of its life, and if the clock says that it is not valid yet.
    fn is_due(&self, now: Timestamp) -> bool {
        let life = self.not_after.duration_since(self.not_before);
        let due = self.not_before.saturating_add(life * 2 / 3).unwrap_or(self.not_before);
        now >= due || now < self.not_before.saturating_sub(SignedDuration::from_secs(1)).unwrap_or(now)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("server.json")
}

fn make(folder: &Path, authorities: &Authorities, now: Timestamp) -> Result<Current, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut wanted = parameters(Serial::random()?, now, SERVER_LIFE);
    wanted.subject_alt_names = CertificateParams::new(authorities.certified_names())?.subject_alt_names;
    wanted.distinguished_name.push(DnType::CommonName, "Faultline controller");
    wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let pem = wanted.signed_by(&key, &authorities.issuer()?)?.pem();
    let stored = Stored { key: key.serialize_pem(), certificate_chain: pem + authorities.signing_pem() };
    let made = current(&stored)?;
    let text = serde_json::to_string_pretty(&stored).map_err(|error| AuthorityError::Tls(error.to_string()))?;
    private_file::write(&file(folder), &(text + "\n"))?;
    Ok(made)
}

fn current(stored: &Stored) -> Result<Current, AuthorityError> {
    let tls = |problem: &dyn std::fmt::Display| AuthorityError::Tls(format!("the controller's certificate: {problem}"));
    let chain = certificates(&stored.certificate_chain).ok_or_else(|| tls(&"it cannot be read"))?;
    let facts = CertificateFacts::of(&chain[0]).map_err(|problem| tls(&problem))?;
    let key = PrivateKeyDer::from_pem_slice(stored.key.as_bytes()).map_err(|_| tls(&"its key cannot be read"))?;
    let certified = CertifiedKey::from_der(chain, key, &tls::provider()).map_err(|error| tls(&error))?;
    let CertificateFacts { not_before, not_after, .. } = facts;
    Ok(Current { certified: Arc::new(certified), not_before, not_after })
}

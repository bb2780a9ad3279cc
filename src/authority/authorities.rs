use std::path::{Path, PathBuf};
use std::time::Duration;

use faultline_agent::credentials::{CertificateFacts, Serial, certificates, private_file};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::{CertificateDer, ServerName};
use serde::{Deserialize, Serialize};

use super::error::AuthorityError;
use super::{AUTHORITY_LIFE, BACKDATE};

const VERSION: u32 = 1;

/// The file: every authority that is trusted, with its key, and which of them signs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authorities {
    version: u32,
    names: Vec<String>,
    /// The name by which agents know every controller of the fleet, whatever its own: the first one's first. Absent in the
    /// first one's own folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    known_as: Option<String>,
    /// One, or during a rotation the older and the newer.
    authorities: Vec<One>,
    /// Which of them signs.
    signing: usize,
    /// How far a rotation is, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rotation: Option<super::Rotation>,
}

/// One authority.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct One {
    /// PEM (PKCS #8).
    key: String,
    /// PEM.
    certificate: String,
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authorities").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Authorities {
    pub(super) fn new(names: &[String], now: Timestamp) -> Result<Self, AuthorityError> {
        check(names)?;
        let authorities = vec![One::new(now)?];
        Ok(Self { version: VERSION, names: names.to_vec(), known_as: None, authorities, signing: 0, rotation: None })
    }

    /// The same authorities for another controller of the fleet, of these names.
    pub(super) fn joined_by(self, names: &[String]) -> Result<Self, AuthorityError> {
        check(names)?;
        Ok(Self { known_as: self.known_as().map(str::to_owned), names: names.to_vec(), ..self })
    }

    /// The name by which agents know every controller of the fleet.
    pub(super) fn known_as(&self) -> Option<&str> {
        self.known_as.as_deref().or_else(|| self.names.first().map(String::as_str))
    }

    /// All names for which the controller's certificate is to be.
    pub(super) fn certified_names(&self) -> Vec<String> {
        let mut names = self.names.clone();
        names.extend(self.known_as.clone().filter(|name| !self.names.contains(name)));
        names
    }

    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join("authority.json")
    }

    pub(super) fn read(folder: &Path) -> Result<Self, AuthorityError> {
        let file = Self::file(folder);
        let text = private_file::read(&file)?.ok_or_else(|| AuthorityError::Missing(folder.display().to_string()))?;
        let damaged = |problem: String| AuthorityError::Damaged { file: file.display().to_string(), problem };
        // What serde says could quote the key.
        let read: Self =
            serde_json::from_str(&text).map_err(|_| damaged("is cut short or was changed by hand".to_owned()))?;
        if read.version != VERSION {
            return Err(damaged(format!("has version {}, and this program knows version {VERSION}", read.version)));
        }
        if read.signing >= read.authorities.len() {
            return Err(damaged("does not say which authority signs".into()));
        }
        read.issuer()?;
        Ok(read)
    }

    pub(super) fn write_new(&self, folder: &Path) -> Result<(), AuthorityError> {
        let file = Self::file(folder);
        if file.symlink_metadata().is_ok() {
            return Err(AuthorityError::Exists(folder.display().to_string()));
        }
        Ok(private_file::write_new(&file, &self.text()?)?)
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), AuthorityError> {
        Ok(private_file::write(&Self::file(folder), &self.text()?)?)
    }

    fn text(&self) -> Result<String, AuthorityError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| AuthorityError::Tls(error.to_string()))
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// What signs now.
    pub(super) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, AuthorityError> {
        let one = &self.authorities[self.signing];
        Ok(Issuer::from_ca_cert_pem(&one.certificate, KeyPair::from_pem(&one.key)?)?)
    }

    pub(super) fn signing_certificate(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        self.authorities[self.signing].der()
    }

    pub(super) fn signing_pem(&self) -> &str {
        &self.authorities[self.signing].certificate
    }

    pub(super) fn signing_not_after(&self) -> Result<Timestamp, AuthorityError> {
        let facts = CertificateFacts::of(&self.signing_certificate()?);
        facts.map(|facts| facts.not_after).map_err(|problem| AuthorityError::Tls(problem.to_string()))
    }

    pub(super) fn trusted(&self) -> Result<Vec<CertificateDer<'static>>, AuthorityError> {
        self.authorities.iter().map(One::der).collect()
    }

    pub(super) fn bundle(&self) -> String {
        self.authorities.iter().map(|one| one.certificate.as_str()).collect()
    }

    pub(super) fn add(&mut self, now: Timestamp) -> Result<(), AuthorityError> {
        self.authorities.push(One::new(now)?);
        Ok(())
    }

    pub(super) fn sign_with_newest(&mut self) {
        self.signing = self.authorities.len().saturating_sub(1);
    }

    pub(super) fn forget_all_but_signing(&mut self) {
        self.authorities.swap(0, self.signing);
        self.authorities.truncate(1);
        self.signing = 0;
    }
}

fn check(names: &[String]) -> Result<(), AuthorityError> {
    if names.is_empty() {
        return Err(AuthorityError::NoName);
    }
    match names.iter().find(|name| ServerName::try_from(name.as_str()).is_err()) {
        Some(bad) => Err(AuthorityError::Name(bad.clone())),
        None => Ok(()),
    }
}

impl One {
    fn new(now: Timestamp) -> Result<Self, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let serial = Serial::random()?;
        let mut parameters = parameters(serial, now, AUTHORITY_LIFE);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // Two authorities of the same name could not be told apart by their names while both are trusted.
        parameters.distinguished_name.push(DnType::CommonName, format!("Faultline authority {serial}"));
        let certificate = parameters.self_signed(&key)?.pem();
        Ok(Self { key: key.serialize_pem(), certificate })
    }

    fn der(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut read = certificates(&self.certificate).unwrap_or_default();
        read.pop().ok_or_else(|| AuthorityError::Tls("the authority's certificate cannot be read".into()))
    }
}

/// What all certificates have in common: valid for so long, and since five minutes ago.
pub(super) fn parameters(serial: Serial, now: Timestamp, life: Duration) -> CertificateParams {
    let moment = |timestamp: Timestamp| {
        let seconds = u64::try_from(timestamp.as_second()).unwrap_or_default();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    let mut parameters = CertificateParams::default();
    parameters.serial_number = Some(SerialNumber::from_slice(&serial.bytes()));
    parameters.not_before = moment(now.saturating_sub(BACKDATE).unwrap_or(now));
    parameters.not_after = moment(now.saturating_add(life).unwrap_or(now));
    parameters.distinguished_name = DistinguishedName::new();
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

use std::path::{Path, PathBuf};
use std::time::Duration;

use faultline_agent::credentials::{CertificateFacts, Fingerprint, Serial, certificates, private_file};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::{CertificateDer, ServerName};
use serde::{Deserialize, Serialize};

use super::error::AuthorityError;
use super::rotation::{Step, Succession};
use super::{AUTHORITY_LIFE, BACKDATE};

const VERSION: u32 = 1;

/// The file: every authority that is trusted, with its key if that is here, and which of them signs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// One that was made for a rotation, and is not trusted before the fleet knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prepared: Option<One>,
}

/// One authority.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct One {
    /// PEM (PKCS #8). Absent while another controller alone has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
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
        Ok(Self { version: VERSION, names: names.to_vec(), known_as: None, authorities, signing: 0, prepared: None })
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
        match read.issuer() {
            Ok(_) | Err(AuthorityError::NoKey { .. }) => Ok(read),
            Err(error) => Err(error),
        }
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
        let key = one.key.as_deref().ok_or(AuthorityError::NoKey { authority: Fingerprint::of(&one.der()?) })?;
        Ok(Issuer::from_ca_cert_pem(&one.certificate, KeyPair::from_pem(key)?)?)
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

    /// Those whose keys are here.
    pub(super) fn held(&self) -> Result<Vec<Fingerprint>, AuthorityError> {
        self.authorities.iter().filter(|one| one.key.is_some()).map(One::fingerprint).collect()
    }

    /// PEM of the one that was prepared; it is made if there is none.
    pub(super) fn prepare(&mut self, now: Timestamp) -> Result<String, AuthorityError> {
        let prepared = match self.prepared.take() {
            Some(one) => one,
            None => One::new(now)?,
        };
        Ok(self.prepared.insert(prepared).certificate.clone())
    }

    /// As the fleet has decided: which two are trusted, and which signs. Whether the key with which to go on is here is
    /// told by [`issuer`](Self::issuer).
    pub(super) fn follow(&mut self, to: &Succession) -> Result<(), AuthorityError> {
        let next = One { key: None, certificate: to.certificate.clone() };
        let next_is = next.fingerprint()?;
        let (mut kept, mut prepared) = (Vec::new(), self.prepared.take());
        for one in self.authorities.drain(..) {
            let is = one.fingerprint()?;
            if is == next_is || (is == to.former && to.step != Step::Finished) {
                kept.push((is, one));
            }
        }
        if let Some(one) = prepared.take_if(|one| one.certificate == next.certificate) {
            kept.retain(|(is, _)| *is != next_is);
            kept.push((next_is, one));
        } else if kept.iter().all(|(is, _)| *is != next_is) {
            kept.push((next_is, next));
        }
        let place = |wanted: Fingerprint| kept.iter().position(|(is, _)| *is == wanted);
        let able = |place: &usize| kept[*place].1.key.is_some();
        let (former, next) = (place(to.former), place(next_is));
        let signing = match to.step {
            // The next one signs nothing that not everybody trusts yet.
            Step::Begun => former,
            Step::Switched | Step::Finished => next.filter(able).or(former.filter(able)).or(next),
        };
        // A whole rotation was missed: there is nothing to go on from.
        self.signing = signing.ok_or(AuthorityError::NoKey { authority: to.former })?;
        self.authorities = kept.into_iter().map(|(_, one)| one).collect();
        self.prepared = prepared;
        Ok(())
    }

    /// With the authorities of another controller of the same fleet, and its own names.
    pub(super) fn taken_from(self, other: Self) -> Result<Self, AuthorityError> {
        if self.known_as() != other.known_as() {
            let name = |one: &Self| one.known_as().unwrap_or_default().to_owned();
            return Err(AuthorityError::OtherFleet { own: name(&self), other: name(&other) });
        }
        Ok(Self { authorities: other.authorities, signing: other.signing, prepared: other.prepared, ..self })
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
        Ok(Self { key: Some(key.serialize_pem()), certificate })
    }

    fn fingerprint(&self) -> Result<Fingerprint, AuthorityError> {
        Ok(Fingerprint::of(&self.der()?))
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

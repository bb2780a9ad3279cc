use std::collections::BTreeMap;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::labels;
use super::name::AgentName;
use super::serial::Serial;

/// Why a certificate is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// It cannot be read.
    #[error("it is no certificate of X.509 that can be read")]
    Malformed,
    /// Its serial number is not of 128 bits.
    #[error("its serial number is none that this authority gives")]
    Serial,
    /// Its extended key usage is not the one wanted, and it alone.
    #[error("it is not for this purpose (extended key usage)")]
    Purpose,
    /// It does not name one agent, with nothing else but labels.
    #[error("it does not name an agent (faultline://agent/NAME), or names more than one and its labels")]
    Name,
}

/// What is read of a certificate, whosever it is. Nothing is verified here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its serial number.
    pub serial: Serial,
    /// Valid from then on.
    pub not_before: Timestamp,
    /// Valid until then.
    pub not_after: Timestamp,
    /// Whether it is for clients, and for nothing else.
    pub is_for_clients: bool,
    /// Whether it is for servers, and for nothing else.
    pub is_for_servers: bool,
    /// The public key, as in its bit string.
    pub public_key: Vec<u8>,
    /// The names that it is for, each as a URI if it is one, else `None`.
    names: Vec<Option<String>>,
}

impl CertificateFacts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// If it cannot be read, or is not shaped as those of our authority are.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertificateProblem> {
        let malformed = CertificateProblem::Malformed;
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| malformed)?;
        if !rest.is_empty() {
            return Err(malformed);
        }
        let usage = parsed.extended_key_usage().map_err(|_| malformed)?.map(|extension| extension.value);
        let only = |wanted: (bool, bool)| {
            usage.is_some_and(|usage| {
                let others = usage.any
                    || usage.code_signing
                    || usage.email_protection
                    || usage.time_stamping
                    || usage.ocsp_signing
                    || !usage.other.is_empty();
                !others && (usage.client_auth, usage.server_auth) == wanted
            })
        };
        let names = parsed.subject_alternative_name().map_err(|_| malformed)?;
        let names = names.map_or_else(Vec::new, |extension| {
            let uri = |name: &GeneralName<'_>| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            };
            extension.value.general_names.iter().map(uri).collect()
        });
        let moment = |seconds| Timestamp::from_second(seconds).map_err(|_| malformed);
        Ok(Self {
            serial: Serial::from_der(parsed.raw_serial()).ok_or(CertificateProblem::Serial)?,
            not_before: moment(parsed.validity().not_before.timestamp())?,
            not_after: moment(parsed.validity().not_after.timestamp())?,
            is_for_clients: only((true, false)),
            is_for_servers: only((false, true)),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            names,
        })
    }
}

/// Who an agent is, by its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerIdentity {
    /// Its name.
    pub name: AgentName,
    /// The certificate's serial number.
    pub serial: Serial,
    /// The certificate is valid from then on.
    pub not_before: Timestamp,
    /// The certificate is valid until then.
    pub not_after: Timestamp,
    /// The labels that the authority bound to it: nobody but the authority can give it others.
    pub labels: BTreeMap<String, String>,
}

impl PeerIdentity {
    /// Whom a certificate names. Whether it may be believed is TLS's to say: it must have been verified before.
    ///
    /// # Errors
    /// If it is not for clients alone, or does not name exactly one agent.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, CertificateProblem> {
        let facts = CertificateFacts::of(certificate)?;
        if !facts.is_for_clients {
            return Err(CertificateProblem::Purpose);
        }
        let uris: Option<Vec<&str>> = facts.names.iter().map(Option::as_deref).collect();
        let uris = uris.ok_or(CertificateProblem::Name)?;
        let (name, labels) = uris.split_first().ok_or(CertificateProblem::Name)?;
        let name = AgentName::from_uri(name).ok_or(CertificateProblem::Name)?;
        let labels = labels::of_uris(labels).ok_or(CertificateProblem::Name)?;
        Ok(Self { name, serial: facts.serial, not_before: facts.not_before, not_after: facts.not_after, labels })
    }
}

/// The certificates in a PEM text, in its order; `None` if there is none or one cannot be read.
pub fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

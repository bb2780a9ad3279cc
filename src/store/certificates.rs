//! Certificates that were issued, and those that were revoked.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::{Columns, json, micros, words};
use super::error::{Fault, Nature, nature};
use super::refusal::Refusal;
use super::transaction::{Under, Work};
use super::{Store, StoreError};

words! {
    /// What a certificate is for.
    CertificateRole {
        /// An agent's.
        Agent = "agent",
        /// A controller's.
        Controller = "controller",
    }
}

/// A certificate to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The name of whom it is for.
    pub subject: String,
    /// What it is for.
    pub role: CertificateRole,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// The fingerprint of the authority that signed it.
    pub authority: String,
    /// Those of the authorities that its holder trusts from then on.
    pub trusts: Vec<String>,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its serial number, in hexadecimal digits.
    pub serial: String,
    /// The name of whom it is for.
    pub subject: String,
    /// What it is for.
    pub role: CertificateRole,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Why.
    pub revoked_because: Option<String>,
}

impl Store {
    /// Keeps a certificate that is being issued.
    ///
    /// # Errors
    /// [`Refusal::Exists`], or the store's own.
    pub async fn record_certificate(&self, certificate: &NewCertificate, now: Timestamp) -> Result<(), StoreError> {
        self.done("keep a certificate", || async {
            let mut work = self.begin(Under::Rows).await?;
            insert(&mut work, certificate, now).await?;
            work.commit().await
        })
        .await
    }

    /// Keeps a certificate that takes the place of one that expires soon, unless that was revoked meanwhile.
    ///
    /// # Errors
    /// [`Refusal::RevokedCertificate`], [`Refusal::Unknown`], [`Refusal::Exists`], or the store's own.
    pub async fn record_renewal(
        &self,
        former: &str,
        certificate: &NewCertificate,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.done("keep a renewed certificate", || async {
            let mut work = self.begin(Under::Names).await?;
            let row = sqlx::query("SELECT * FROM certificates WHERE serial = $1")
                .bind(former)
                .fetch_optional(work.on())
                .await?;
            let held = Certificate::read(&row.ok_or_else(|| unknown(former))?)?;
            if held.revoked_at.is_some() {
                return Err(Refusal::RevokedCertificate { serial: former.to_owned() }.into());
            }
            insert(&mut work, certificate, now).await?;
            work.commit().await
        })
        .await
    }

    /// The certificate with this serial number.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn certificate(&self, serial: &str) -> Result<Certificate, StoreError> {
        self.done("read a certificate", || async {
            let row = sqlx::query("SELECT * FROM certificates WHERE serial = $1")
                .bind(serial)
                .fetch_optional(&self.readers)
                .await?;
            match row {
                Some(row) => Certificate::read(&row),
                None => Err(unknown(serial)),
            }
        })
        .await
    }

    /// Certificates, the newest first; only those of one subject, if it is given.
    ///
    /// # Errors
    /// The store's own.
    pub async fn certificates(&self, subject: Option<&str>) -> Result<Vec<Certificate>, StoreError> {
        self.done("list certificates", || async {
            let rows = sqlx::query(
                "SELECT * FROM certificates WHERE $1 IS NULL OR subject = $1 ORDER BY issued_at DESC, serial",
            )
            .bind(subject)
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(Certificate::read).collect()
        })
        .await
    }

    /// Revokes all certificates of an agent that are still good, at once, so that none that is being renewed slips
    /// through. Which these were.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] if it never had one, or the store's own.
    pub async fn revoke_agent(
        &self,
        agent: &str,
        because: &str,
        now: Timestamp,
    ) -> Result<Vec<Certificate>, StoreError> {
        self.done("revoke the certificates of an agent", || async {
            let mut work = self.begin(Under::Names).await?;
            let rows = sqlx::query(
                "UPDATE certificates SET revoked_because = $2, revoked_at = $3
                 WHERE subject = $1 AND role = 'agent' AND revoked_at IS NULL AND not_after > $3 RETURNING *",
            )
            .bind(agent)
            .bind(because)
            .bind(micros(now))
            .fetch_all(work.on())
            .await?;
            if rows.is_empty() {
                let known =
                    sqlx::query("SELECT serial FROM certificates WHERE subject = $1 AND role = 'agent' LIMIT 1")
                        .bind(agent)
                        .fetch_optional(work.on())
                        .await?;
                if known.is_none() {
                    return Err(Refusal::Unknown { kind: "agent with a certificate", name: agent.to_owned() }.into());
                }
            }
            let revoked = rows.iter().map(Certificate::read).collect::<Result<_, _>>()?;
            work.commit().await?;
            Ok(revoked)
        })
        .await
    }

    /// The serial numbers of all certificates that are revoked and would otherwise still be valid.
    ///
    /// # Errors
    /// The store's own.
    pub async fn revoked_serials(&self, now: Timestamp) -> Result<Vec<String>, StoreError> {
        self.done("list revoked certificates", || async {
            let rows = sqlx::query("SELECT serial FROM certificates WHERE revoked_at IS NOT NULL AND not_after > $1")
                .bind(micros(now))
                .fetch_all(&self.readers)
                .await?;
            rows.iter().map(|row| row.text("serial")).collect()
        })
        .await
    }

    /// Forgets certificates that were valid only until before this time.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune_certificates(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.forget("forget expired certificates", "DELETE FROM certificates WHERE not_after < $1", before).await
    }
}

impl Certificate {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            serial: row.text("serial")?,
            subject: row.text("subject")?,
            role: row.word("role")?,
            issued_at: row.time("issued_at")?,
            not_after: row.time("not_after")?,
            revoked_at: row.optional_time("revoked_at")?,
            revoked_because: row.optional_text("revoked_because")?,
        })
    }
}

/// Whether somebody has this name at this time. The transaction must hold the lock of the names.
pub(super) async fn is_taken(work: &mut Work, agent: &str, now: Timestamp) -> Result<bool, Fault> {
    let row = sqlx::query(
        "SELECT serial FROM certificates
         WHERE subject = $1 AND role = 'agent' AND revoked_at IS NULL AND not_after > $2 LIMIT 1",
    )
    .bind(agent)
    .bind(micros(now))
    .fetch_optional(work.on())
    .await?;
    Ok(row.is_some())
}

pub(super) async fn insert(work: &mut Work, certificate: &NewCertificate, now: Timestamp) -> Result<(), Fault> {
    let inserted = sqlx::query(
        "INSERT INTO certificates (serial, subject, role, issued_at, not_after, authority, trusts)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(certificate.serial.as_str())
    .bind(certificate.subject.as_str())
    .bind(certificate.role.as_str())
    .bind(micros(now))
    .bind(micros(certificate.not_after))
    .bind(certificate.authority.as_str())
    .bind(json(&certificate.trusts)?)
    .execute(work.on())
    .await;
    match inserted {
        Err(error) if nature(&error) == Nature::Duplicate => {
            Err(Refusal::Exists { kind: "certificate", name: certificate.serial.clone() }.into())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

fn unknown(serial: &str) -> Fault {
    Refusal::Unknown { kind: "certificate", name: serial.to_owned() }.into()
}

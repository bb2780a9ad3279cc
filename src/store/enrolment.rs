//! Tokens by which an agent is enrolled. Only the hash of a secret is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::{Columns, json, micros};
use super::error::{Fault, Nature, nature};
use super::refusal::Refusal;
use super::tokens::TokenRefusal;
use super::transaction::Under;
use super::{NewCertificate, Store, StoreError, certificates};

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEnrolmentToken {
    /// Its id, which may be shown.
    pub id: String,
    /// The SHA-256 of its secret, in hexadecimal digits.
    pub secret_hash: String,
    /// The labels that are bound to every agent enrolled by it.
    pub labels: BTreeMap<String, String>,
    /// Who makes it.
    pub created_by: String,
    /// It is refused at this time and later.
    pub expires_at: Timestamp,
    /// How many agents it enrols; usually 1.
    pub uses: u32,
}

/// A token, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentToken {
    /// Its id.
    pub id: String,
    /// The labels that are bound to every agent enrolled by it.
    pub labels: BTreeMap<String, String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// It is refused at this time and later.
    pub expires_at: Timestamp,
    /// How many agents it may still enrol.
    pub uses_left: u32,
    /// When it was last redeemed.
    pub used_at: Option<Timestamp>,
    /// The agent that it enrolled last.
    pub used_by: Option<String>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Keeps a token.
    ///
    /// # Errors
    /// [`Refusal::Exists`], or the store's own.
    pub async fn create_enrolment_token(&self, token: &NewEnrolmentToken, now: Timestamp) -> Result<(), StoreError> {
        self.done("keep an enrolment token", || async {
            let mut work = self.begin(Under::Rows).await?;
            let inserted = sqlx::query(
                "INSERT INTO enrolment_tokens (id, secret_hash, labels, created_by, created_at, expires_at, uses_left)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(token.id.as_str())
            .bind(token.secret_hash.as_str())
            .bind(json(&token.labels)?)
            .bind(token.created_by.as_str())
            .bind(micros(now))
            .bind(micros(token.expires_at))
            .bind(i64::from(token.uses))
            .execute(work.on())
            .await;
            match inserted {
                Err(error) if nature(&error) == Nature::Duplicate => {
                    Err(Refusal::Exists { kind: "enrolment token", name: token.id.clone() }.into())
                }
                Err(error) => Err(error.into()),
                Ok(_) => work.commit().await,
            }
        })
        .await
    }

    /// The token whose secret has this hash, if it could be redeemed now. It is not.
    ///
    /// # Errors
    /// [`Refusal::Token`] with the reason, or the store's own.
    pub async fn redeemable_token(&self, secret_hash: &str, now: Timestamp) -> Result<EnrolmentToken, StoreError> {
        self.done("look an enrolment token up", || async {
            let row = sqlx::query("SELECT * FROM enrolment_tokens WHERE secret_hash = $1")
                .bind(secret_hash)
                .fetch_optional(&self.readers)
                .await?;
            let token = row.as_ref().map(EnrolmentToken::read).transpose()?;
            match refusal(token.as_ref(), now) {
                Some(why) => Err(Refusal::Token(why).into()),
                None => token.ok_or_else(|| Refusal::Token(TokenRefusal::Unknown).into()),
            }
        })
        .await
    }

    /// Redeems the token whose secret has this hash, for the agent whom this certificate names, and keeps the
    /// certificate; all or nothing. One statement decides, so a token is never redeemed more often than it may be, and
    /// nobody is enrolled under a name that another has.
    ///
    /// # Errors
    /// [`Refusal::Token`] with the reason, [`Refusal::NameTaken`], [`Refusal::Exists`] for the serial number, or the
    /// store's own. After [`StoreError::Unreachable`] it may have been used.
    pub async fn enrol(
        &self,
        secret_hash: &str,
        certificate: &NewCertificate,
        now: Timestamp,
    ) -> Result<EnrolmentToken, StoreError> {
        self.done("enrol an agent", || async {
            let mut work = self.begin(Under::Names).await?;
            let row = sqlx::query(
                "UPDATE enrolment_tokens SET uses_left = uses_left - 1, used_at = $2, used_by = $3
                 WHERE secret_hash = $1 AND uses_left > 0 AND expires_at > $2 AND revoked_at IS NULL RETURNING *",
            )
            .bind(secret_hash)
            .bind(micros(now))
            .bind(certificate.subject.as_str())
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else {
                let row = sqlx::query("SELECT * FROM enrolment_tokens WHERE secret_hash = $1")
                    .bind(secret_hash)
                    .fetch_optional(work.on())
                    .await?;
                let token = row.as_ref().map(EnrolmentToken::read).transpose()?;
                let why = refusal(token.as_ref(), now).unwrap_or(TokenRefusal::Expired);
                return Err(Refusal::Token(why).into());
            };
            let token = EnrolmentToken::read(&row)?;
            if certificates::is_taken(&mut work, &certificate.subject, now).await? {
                return Err(Refusal::NameTaken { name: certificate.subject.clone() }.into());
            }
            certificates::insert(&mut work, certificate, now).await?;
            work.commit().await?;
            Ok(token)
        })
        .await
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn revoke_enrolment_token(&self, id: &str, now: Timestamp) -> Result<EnrolmentToken, StoreError> {
        self.done("revoke an enrolment token", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row = sqlx::query(
                "UPDATE enrolment_tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1 RETURNING *",
            )
            .bind(id)
            .bind(micros(now))
            .fetch_optional(work.on())
            .await?;
            let Some(row) = row else {
                return Err(Refusal::Unknown { kind: "enrolment token", name: id.to_owned() }.into());
            };
            let token = EnrolmentToken::read(&row)?;
            work.commit().await?;
            Ok(token)
        })
        .await
    }

    /// All tokens, the newest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn enrolment_tokens(&self) -> Result<Vec<EnrolmentToken>, StoreError> {
        self.done("list enrolment tokens", || async {
            let rows = sqlx::query("SELECT * FROM enrolment_tokens ORDER BY created_at DESC, id")
                .fetch_all(&self.readers)
                .await?;
            rows.iter().map(EnrolmentToken::read).collect()
        })
        .await
    }

    /// Forgets tokens that expired before this time. A replay is then refused as unknown.
    ///
    /// # Errors
    /// The store's own.
    pub async fn prune_enrolment_tokens(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.forget("forget expired enrolment tokens", "DELETE FROM enrolment_tokens WHERE expires_at < $1", before)
            .await
    }
}

/// Why a token cannot be redeemed, if it cannot.
fn refusal(token: Option<&EnrolmentToken>, now: Timestamp) -> Option<TokenRefusal> {
    match token {
        None => Some(TokenRefusal::Unknown),
        Some(token) if token.revoked_at.is_some() => Some(TokenRefusal::Revoked),
        Some(token) if token.uses_left == 0 => Some(TokenRefusal::Used),
        Some(token) if token.expires_at <= now => Some(TokenRefusal::Expired),
        Some(_) => None,
    }
}

impl EnrolmentToken {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.text("id")?,
            labels: row.json("labels")?,
            created_by: row.text("created_by")?,
            created_at: row.time("created_at")?,
            expires_at: row.time("expires_at")?,
            uses_left: row.count("uses_left")?,
            used_at: row.optional_time("used_at")?,
            used_by: row.optional_text("used_by")?,
            revoked_at: row.optional_time("revoked_at")?,
        })
    }
}

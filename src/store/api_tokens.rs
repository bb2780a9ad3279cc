//! Tokens of people and programs that call the API. Only the hash of a secret is kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyRow;

use super::columns::{Columns, json, micros};
use super::error::{Fault, Nature, nature};
use super::refusal::Refusal;
use super::tokens::TokenRefusal;
use super::transaction::Under;
use super::{Store, StoreError};

/// The last use of a token is noted only when the one that is noted is older than this: else every call would write.
const NOTED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewApiToken {
    /// Its id, which may be shown.
    pub id: String,
    /// The SHA-256 of its secret, in hexadecimal digits.
    pub secret_hash: String,
    /// Who bears it: the actor in the audit log.
    pub name: String,
    /// Its role.
    pub role: String,
    /// The labels to which it is limited.
    pub scope: Value,
    /// Who makes it.
    pub created_by: String,
    /// It is refused at this time and later; never, if it is not given.
    pub expires_at: Option<Timestamp>,
}

/// A token, without its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id.
    pub id: String,
    /// Who bears it.
    pub name: String,
    /// Its role.
    pub role: String,
    /// The labels to which it is limited.
    pub scope: Value,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// It is refused at this time and later.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

impl Store {
    /// Keeps a token.
    ///
    /// # Errors
    /// [`Refusal::Exists`], or the store's own.
    pub async fn create_api_token(&self, token: &NewApiToken, now: Timestamp) -> Result<(), StoreError> {
        self.done("keep an API token", || async {
            let mut work = self.begin(Under::Rows).await?;
            let inserted = sqlx::query(
                "INSERT INTO api_tokens (id, secret_hash, name, role, scope, created_by, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(token.id.as_str())
            .bind(token.secret_hash.as_str())
            .bind(token.name.as_str())
            .bind(token.role.as_str())
            .bind(json(&token.scope)?)
            .bind(token.created_by.as_str())
            .bind(micros(now))
            .bind(token.expires_at.map(micros))
            .execute(work.on())
            .await;
            match inserted {
                Err(error) if nature(&error) == Nature::Duplicate => {
                    Err(Refusal::Exists { kind: "API token", name: token.id.clone() }.into())
                }
                Err(error) => Err(error.into()),
                Ok(_) => work.commit().await,
            }
        })
        .await
    }

    /// The token whose secret has this hash, if it is valid now.
    ///
    /// # Errors
    /// [`Refusal::Token`] with the reason, or the store's own.
    pub async fn api_token(&self, secret_hash: &str, now: Timestamp) -> Result<ApiToken, StoreError> {
        self.done("look up an API token", || async {
            let row = sqlx::query("SELECT * FROM api_tokens WHERE secret_hash = $1")
                .bind(secret_hash)
                .fetch_optional(&self.readers)
                .await?;
            let refused = |why| Err(Refusal::Token(why).into());
            let token = match row.as_ref().map(ApiToken::read).transpose()? {
                None => return refused(TokenRefusal::Unknown),
                Some(token) if token.revoked_at.is_some() => return refused(TokenRefusal::Revoked),
                Some(token) if token.expires_at.is_some_and(|end| end <= now) => return refused(TokenRefusal::Expired),
                Some(token) => token,
            };
            if token.used_at.is_none_or(|used| now.duration_since(used) >= NOTED_EVERY) {
                let mut work = self.begin(Under::Rows).await?;
                sqlx::query("UPDATE api_tokens SET used_at = $2 WHERE id = $1")
                    .bind(token.id.as_str())
                    .bind(micros(now))
                    .execute(work.on())
                    .await?;
                work.commit().await?;
            }
            Ok(token)
        })
        .await
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// [`Refusal::Unknown`], or the store's own.
    pub async fn revoke_api_token(&self, id: &str, now: Timestamp) -> Result<ApiToken, StoreError> {
        self.done("revoke an API token", || async {
            let mut work = self.begin(Under::Rows).await?;
            let row =
                sqlx::query("UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1 RETURNING *")
                    .bind(id)
                    .bind(micros(now))
                    .fetch_optional(work.on())
                    .await?;
            let Some(row) = row else {
                return Err(Refusal::Unknown { kind: "API token", name: id.to_owned() }.into());
            };
            let token = ApiToken::read(&row)?;
            work.commit().await?;
            Ok(token)
        })
        .await
    }

    /// All tokens, the newest first.
    ///
    /// # Errors
    /// The store's own.
    pub async fn api_tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        self.done("list API tokens", || async {
            let rows =
                sqlx::query("SELECT * FROM api_tokens ORDER BY created_at DESC, id").fetch_all(&self.readers).await?;
            rows.iter().map(ApiToken::read).collect()
        })
        .await
    }
}

impl ApiToken {
    fn read(row: &AnyRow) -> Result<Self, Fault> {
        Ok(Self {
            id: row.text("id")?,
            name: row.text("name")?,
            role: row.text("role")?,
            scope: row.json("scope")?,
            created_by: row.text("created_by")?,
            created_at: row.time("created_at")?,
            expires_at: row.optional_time("expires_at")?,
            revoked_at: row.optional_time("revoked_at")?,
            used_at: row.optional_time("used_at")?,
        })
    }
}

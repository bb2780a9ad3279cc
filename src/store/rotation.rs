//! How far the fleet is with replacing its authority, and who keeps it from the next step. Never a key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::columns::{Columns, json, micros, words};
use super::error::Fault;
use super::refusal::Refusal;
use super::transaction::Under;
use super::{ALIVE, Store, StoreError};

words! {
    /// How far a rotation of the authority is.
    RotationStep {
        /// The next authority is trusted; the former signs.
        Begun = "begun",
        /// The next one signs; the former is still trusted.
        Switched = "switched",
        /// The former is forgotten.
        Finished = "finished",
    }
}

/// The last rotation of the authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// How far it is.
    pub step: RotationStep,
    /// The fingerprint of the authority before it.
    pub former: String,
    /// That of the next.
    pub next: String,
    /// PEM of the certificate of the next.
    pub certificate: String,
    /// When the step was taken.
    pub since: Timestamp,
}

/// A controller that lives, and what it has of the authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerAuthorities {
    /// Its id.
    pub controller: String,
    /// The URL of its API.
    pub address: String,
    /// With which authority it signs; empty if it has not said.
    pub signs: String,
    /// Those whose keys it has.
    pub holds: Vec<String>,
}

/// The certificate by which an agent lives: that with which it connected last, or the newest if that is not good any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInUse {
    /// Whose it is.
    pub agent: String,
    /// Which authority signed it; empty where nobody kept that.
    pub authority: String,
    /// Those that the agent trusts since it has it.
    pub trusts: Vec<String>,
    /// Until when it is good.
    pub not_after: Timestamp,
}

impl Store {
    /// The last rotation, if there ever was one.
    ///
    /// # Errors
    /// The store's own.
    pub async fn rotation(&self) -> Result<Option<Rotation>, StoreError> {
        self.done("read the rotation", || async { read(&mut *self.readers.acquire().await?).await }).await
    }

    /// Begins a rotation from one authority to the next. With `anew` also in place of one that was begun and not switched.
    ///
    /// # Errors
    /// [`Refusal::NotNow`] if one is under way, or the store's own.
    pub async fn begin_rotation(
        &self,
        former: &str,
        (next, certificate): (&str, &str),
        anew: bool,
        now: Timestamp,
    ) -> Result<Rotation, StoreError> {
        self.done("begin a rotation", || async {
            let mut work = self.begin(Under::Names).await?;
            match read(work.on()).await?.map(|rotation| rotation.step) {
                Some(RotationStep::Begun) if !anew => {
                    return Err(Refusal::NotNow("a rotation of the authority was begun already").into());
                }
                Some(RotationStep::Switched) => {
                    return Err(Refusal::NotNow("a rotation of the authority was switched, and is not finished").into());
                }
                _ => {}
            }
            sqlx::query(
                "INSERT INTO rotation (id, step, former, next, certificate, since) VALUES (1, 'begun', $1, $2, $3, $4)
                 ON CONFLICT (id) DO UPDATE SET step = excluded.step, former = excluded.former, next = excluded.next,
                    certificate = excluded.certificate, since = excluded.since",
            )
            .bind(former)
            .bind(next)
            .bind(certificate)
            .bind(micros(now))
            .execute(work.on())
            .await?;
            work.commit().await?;
            let (former, next, certificate) = (former.to_owned(), next.to_owned(), certificate.to_owned());
            Ok(Rotation { step: RotationStep::Begun, former, next, certificate, since: now })
        })
        .await
    }

    /// From now on the next authority signs.
    ///
    /// # Errors
    /// [`Refusal::NotNow`] if no rotation to this authority was begun, or the store's own.
    pub async fn switch_rotation(&self, next: &str, now: Timestamp) -> Result<(), StoreError> {
        self.done("switch a rotation", || async {
            let mut work = self.begin(Under::Names).await?;
            let switched =
                sqlx::query("UPDATE rotation SET step = 'switched', since = $2 WHERE step = 'begun' AND next = $1")
                    .bind(next)
                    .bind(micros(now))
                    .execute(work.on())
                    .await?;
            if switched.rows_affected() == 0 {
                return Err(Refusal::NotNow("no rotation of the authority was begun that could be switched").into());
            }
            work.commit().await
        })
        .await
    }

    /// From now on the former authority is not trusted any more: in the same transaction all certificates that are not of
    /// the next are revoked, so that sessions end that stand by them, and their names are free. How many were good still.
    ///
    /// # Errors
    /// [`Refusal::NotNow`] if no rotation to this authority was switched, or the store's own.
    pub async fn finish_rotation(&self, next: &str, because: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.done("finish a rotation", || async {
            let mut work = self.begin(Under::Names).await?;
            let finished =
                sqlx::query("UPDATE rotation SET step = 'finished', since = $2 WHERE step = 'switched' AND next = $1")
                    .bind(next)
                    .bind(micros(now))
                    .execute(work.on())
                    .await?;
            if finished.rows_affected() == 0 {
                return Err(Refusal::NotNow("no rotation of the authority was switched that could be finished").into());
            }
            let revoked = sqlx::query(
                "UPDATE certificates SET revoked_because = $2, revoked_at = $3
                 WHERE authority <> $1 AND role = 'agent' AND revoked_at IS NULL AND not_after > $3",
            )
            .bind(next)
            .bind(because)
            .bind(micros(now))
            .execute(work.on())
            .await?;
            work.commit().await?;
            Ok(revoked.rows_affected())
        })
        .await
    }

    /// A controller says with which authority it signs, and whose keys it has.
    ///
    /// # Errors
    /// The store's own.
    pub async fn controller_has(&self, controller: &str, signs: &str, holds: &[String]) -> Result<(), StoreError> {
        self.done("say which authorities a controller has", || async {
            let mut work = self.begin(Under::Rows).await?;
            sqlx::query("UPDATE controllers SET signs = $2, holds = $3 WHERE id = $1 AND (signs <> $2 OR holds <> $3)")
                .bind(controller)
                .bind(signs)
                .bind(json(&holds)?)
                .execute(work.on())
                .await?;
            work.commit().await
        })
        .await
    }

    /// The controllers that live, by id.
    ///
    /// # Errors
    /// The store's own.
    pub async fn authorities_of_controllers(&self, now: Timestamp) -> Result<Vec<ControllerAuthorities>, StoreError> {
        self.done("ask which authorities the controllers have", || async {
            let rows = sqlx::query("SELECT * FROM controllers WHERE seen_at > $1 ORDER BY id")
                .bind(micros(now - ALIVE))
                .fetch_all(&self.readers)
                .await?;
            let read = |row| {
                let row: &sqlx::any::AnyRow = row;
                Ok(ControllerAuthorities {
                    controller: row.text("id")?,
                    address: row.text("address")?,
                    signs: row.text("signs")?,
                    holds: row.json("holds")?,
                })
            };
            rows.iter().map(read).collect()
        })
        .await
    }

    /// The certificate by which each agent lives, by the agent's name.
    ///
    /// # Errors
    /// The store's own.
    pub async fn certificates_in_use(&self, now: Timestamp) -> Result<Vec<CertificateInUse>, StoreError> {
        self.done("ask which certificates are in use", || async {
            let rows = sqlx::query(
                "SELECT c.subject, c.authority, c.trusts, c.not_after,
                    CASE WHEN c.serial = a.certificate THEN 1 ELSE 0 END AS shown
                 FROM certificates c LEFT JOIN agents a ON a.name = c.subject
                 WHERE c.role = 'agent' AND c.revoked_at IS NULL AND c.not_after > $1
                 ORDER BY shown, c.issued_at, c.serial",
            )
            .bind(micros(now))
            .fetch_all(&self.readers)
            .await?;
            let mut in_use = BTreeMap::new();
            for row in &rows {
                let certificate = CertificateInUse {
                    agent: row.text("subject")?,
                    authority: row.text("authority")?,
                    trusts: row.json("trusts")?,
                    not_after: row.time("not_after")?,
                };
                in_use.insert(certificate.agent.clone(), certificate);
            }
            Ok(in_use.into_values().collect())
        })
        .await
    }
}

async fn read(connection: &mut AnyConnection) -> Result<Option<Rotation>, Fault> {
    let row = sqlx::query("SELECT * FROM rotation").fetch_optional(connection).await?;
    row.map(|row| {
        Ok(Rotation {
            step: row.word("step")?,
            former: row.text("former")?,
            next: row.text("next")?,
            certificate: row.text("certificate")?,
            since: row.time("since")?,
        })
    })
    .transpose()
}

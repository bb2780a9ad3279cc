//! Tokens by which hosts become agents.

use std::collections::BTreeMap;
use std::time::Duration;

use faultline_agent::credentials::{EnrolmentToken as TokenText, MOST_BOUND, is_plain_label};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError, page};
use crate::access::{Action, Principal};
use crate::store::{EnrolmentToken, NewEnrolmentToken};

/// The longest time for which a token can be good.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many hosts one token enrols at the most.
const MOST_USES: u32 = 10_000;

/// An enrolment token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentTokenView {
    /// Its id.
    pub id: String,
    /// Labels that are bound to every host enrolled by it: the host cannot change them.
    pub labels: BTreeMap<String, String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// It is refused at this time and later.
    pub expires_at: Timestamp,
    /// How many hosts it may still enrol.
    pub uses_left: u32,
    /// The host that it enrolled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<String>,
    /// When it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl From<EnrolmentToken> for EnrolmentTokenView {
    fn from(token: EnrolmentToken) -> Self {
        let EnrolmentToken { id, labels, created_by, created_at, expires_at, uses_left, used_at, used_by, revoked_at } =
            token;
        Self { id, labels, created_by, created_at, expires_at, uses_left, used_by, used_at, revoked_at }
    }
}

/// One page of the enrolment tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentTokensList {
    /// The newest first.
    pub tokens: Vec<EnrolmentTokenView>,
    /// Give this as `after` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A token that was made just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeEnrolmentToken {
    /// Its id.
    pub id: String,
    /// The token itself. It is shown this once and kept nowhere.
    pub token: String,
    /// It is refused at this time and later.
    pub expires_at: Timestamp,
}

impl Controller {
    /// Makes a token by which so many hosts can become agents, for so long. It is shown this once.
    ///
    /// # Errors
    /// If `who` may not, what is wanted makes no sense, or by the store.
    pub async fn create_enrolment_token(
        &self,
        who: &Principal,
        labels: BTreeMap<String, String>,
        lasts: Duration,
        uses: u32,
    ) -> Result<MadeEnrolmentToken, ControllerError> {
        if lasts.is_zero() || lasts > LONGEST {
            return Err(ControllerError::request(
                "a token lasts between 1 s and 30 days",
                "make a new one when it is needed",
            ));
        }
        if uses == 0 || uses > MOST_USES {
            return Err(ControllerError::request(format!("a token enrols 1 to {MOST_USES} hosts"), ""));
        }
        crate::targets::hosts::host_labels(&labels, &BTreeMap::new())
            .map_err(|error| ControllerError::request(error.to_string(), error.hint()))?;
        if labels.len() > MOST_BOUND || !labels.iter().all(|(name, value)| is_plain_label(name, value)) {
            return Err(ControllerError::request(
                format!("a token binds at most {MOST_BOUND} labels, of letters, digits, `-`, `_`, `.` and `/`"),
                "they are written into the certificate of every host that it enrols",
            ));
        }
        let broken = |error: &dyn std::fmt::Display| ControllerError::Broken(error.to_string());
        let authority = self.authority.fingerprint().map_err(|error| broken(&error))?;
        let token = TokenText::random(authority).map_err(|error| broken(&error))?;
        let object =
            Object::new(format!("enrolment-token/{}", token.id)).host("the hosts to be enrolled", Some(labels.clone()));
        let command = Command::new(Action::EnrolHost, object)
            .with("labels", &labels)
            .with("uses", uses)
            .with("lastsSeconds", lasts.as_secs());
        self.command(who, command, async {
            let now = self.now().await?;
            let new = NewEnrolmentToken {
                id: token.id.to_string(),
                secret_hash: token.secret.hash().to_string(),
                labels,
                created_by: who.name.clone(),
                expires_at: now + lasts,
                uses,
            };
            self.store.create_enrolment_token(&new, now).await?;
            Ok(MadeEnrolmentToken { id: new.id, token: token.to_string(), expires_at: new.expires_at })
        })
        .await
    }

    /// Enrolment tokens without their secrets, the newest first, at most `limit` of those behind the one with the id `after`.
    ///
    /// # Errors
    /// If `who` may not, there is no token `after`, or by the store.
    pub async fn enrolment_tokens(
        &self,
        who: &Principal,
        after: Option<&str>,
        limit: u32,
    ) -> Result<EnrolmentTokensList, ControllerError> {
        self.authorise(who, Action::SeeFleet, &Object::fleet("enrolment-tokens")).await?;
        let tokens = page::behind(self.store.enrolment_tokens().await?, after, "enrolment token", |token| &token.id)?;
        let (tokens, next) = page::first(tokens, limit, |token| &token.id);
        Ok(EnrolmentTokensList { tokens: tokens.into_iter().map(EnrolmentTokenView::from).collect(), next })
    }

    /// Takes an enrolment token back. Hosts that it enrolled stay.
    ///
    /// # Errors
    /// If `who` may not, there is no such token, or by the store.
    pub async fn revoke_enrolment_token(
        &self,
        who: &Principal,
        id: &str,
    ) -> Result<EnrolmentTokenView, ControllerError> {
        let known = self.store.enrolment_tokens().await?.into_iter().find(|token| token.id == id);
        let labels = known.map(|token| token.labels);
        let object = Object::new(format!("enrolment-token/{id}")).host("the hosts to be enrolled", labels);
        let command = Command::new(Action::EnrolHost, object);
        self.command(who, command, async { Ok(self.store.revoke_enrolment_token(id, self.now().await?).await?.into()) })
            .await
    }
}

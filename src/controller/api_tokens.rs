//! Tokens for the API: who bears them, and what they are good for.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError, page};
use crate::access::{Action, ApiToken as TokenText, Principal, Role, RoleError, Scope, ScopeError};
use crate::store::{ApiToken, NewApiToken, Refusal, TokenRefusal};

/// The longest time for which a token can be good; for ever is allowed too.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokenView {
    /// Its id.
    pub id: String,
    /// Who bears it.
    pub name: String,
    /// Its role.
    pub role: String,
    /// The labels to which it is limited: `team=payments,env=staging|test`, or `*` for the whole fleet.
    pub scope: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// It is refused at this time and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

/// One page of the tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiTokensList {
    /// The newest first.
    pub tokens: Vec<ApiTokenView>,
    /// Give this as `after` for the next page; not there on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A token that was made just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeApiToken {
    /// Its id.
    pub id: String,
    /// The token itself. It is shown this once and kept nowhere.
    pub token: String,
    /// It is refused at this time and later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl From<ApiToken> for ApiTokenView {
    fn from(token: ApiToken) -> Self {
        Self {
            // What this version does not understand is shown as it is.
            scope: token.scope.as_str().map_or_else(|| token.scope.to_string(), str::to_owned),
            id: token.id,
            name: token.name,
            role: token.role,
            created_by: token.created_by,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
            used_at: token.used_at,
        }
    }
}

/// What a token in the store lets its bearer do; nothing if that is not understood.
fn principal(token: &ApiToken) -> Option<Principal> {
    let scope = serde_json::from_value(token.scope.clone()).ok()?;
    Some(Principal { name: token.name.clone(), role: token.role.parse().ok()?, scope })
}

impl Controller {
    /// Who bears this token.
    ///
    /// # Errors
    /// [`Refusal::Token`] if it is not accepted, for whatever reason; or the store's.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, ControllerError> {
        let unknown = || ControllerError::from(Refusal::Token(TokenRefusal::Unknown));
        let token: TokenText = token.parse().map_err(|_| unknown())?;
        // Found by the hash of 256 random bits: how long that takes says nothing of any secret.
        let known = self.store.api_token(&token.secret.hash().to_string(), self.now().await?).await?;
        if known.id != token.id.as_str() {
            return Err(unknown());
        }
        principal(&known).ok_or_else(|| {
            tracing::error!(token = known.id, "the role or the scope of a token is not understood");
            unknown()
        })
    }

    /// Makes a token for the API, at most as mighty as that of `who`. It is shown this once.
    ///
    /// # Errors
    /// If `who` may not, what is wanted makes no sense, or by the store.
    pub async fn create_api_token(
        &self,
        who: &Principal,
        name: &str,
        role: &str,
        scope: &str,
        lasts: Option<Duration>,
    ) -> Result<MadeApiToken, ControllerError> {
        self.admit(who, Action::MakeToken).await?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            let message = "a name has 1 to 64 letters, digits, `-`, `_`, `.`, `@`";
            return Err(ControllerError::request(message, "name the person, or the program: `ann`, `ci`"));
        }
        if lasts.is_some_and(|lasts| lasts.is_zero() || lasts > LONGEST) {
            return Err(ControllerError::request("a token lasts up to a year, or for ever", ""));
        }
        let role: Role = role.parse().map_err(|error: RoleError| ControllerError::request(error.to_string(), ""))?;
        let scope: Scope =
            scope.parse().map_err(|error: ScopeError| ControllerError::request(error.to_string(), ""))?;
        let token = TokenText::random().map_err(|error| ControllerError::Broken(error.to_string()))?;
        let object = Object::new(format!("token/{}", token.id)).token(role, scope.clone());
        let command =
            Command::new(Action::MakeToken, object).with("name", name).with("role", role).with("scope", &scope);
        self.command(who, command, async {
            let now = self.now().await?;
            let new = NewApiToken {
                id: token.id.to_string(),
                secret_hash: token.secret.hash().to_string(),
                name: name.to_owned(),
                role: role.to_string(),
                scope: scope.to_string().into(),
                created_by: who.name.clone(),
                expires_at: lasts.map(|lasts| now + lasts),
            };
            self.store.create_api_token(&new, now).await?;
            Ok(MadeApiToken { id: new.id, token: token.to_string(), expires_at: new.expires_at })
        })
        .await
    }

    /// Tokens of the API without their secrets, the newest first, at most `limit` of those behind the one with the id
    /// `after`.
    ///
    /// # Errors
    /// If `who` may not, there is no token `after`, or by the store.
    pub async fn api_tokens(
        &self,
        who: &Principal,
        after: Option<&str>,
        limit: u32,
    ) -> Result<ApiTokensList, ControllerError> {
        self.authorise(who, Action::SeeFleet, &Object::fleet("tokens")).await?;
        let tokens = page::behind(self.store.api_tokens().await?, after, "API token", |token| &token.id)?;
        let (tokens, next) = page::first(tokens, limit, |token| &token.id);
        Ok(ApiTokensList { tokens: tokens.into_iter().map(ApiTokenView::from).collect(), next })
    }

    /// Takes a token of the API back, if it is not mightier than that of `who`.
    ///
    /// # Errors
    /// If `who` may not, there is no such token, or by the store.
    pub async fn revoke_api_token(&self, who: &Principal, id: &str) -> Result<ApiTokenView, ControllerError> {
        self.admit(who, Action::RevokeToken).await?;
        let known = self.store.api_tokens().await?.into_iter().find(|token| token.id == id);
        let known = known.ok_or_else(|| Refusal::Unknown { kind: "API token", name: id.to_owned() })?;
        // One that is not understood lets nobody do anything; whoever is admin may remove it.
        let (role, scope) = principal(&known).map_or((Role::Viewer, who.scope.clone()), |of| (of.role, of.scope));
        let object = Object::new(format!("token/{id}")).token(role, scope);
        let command = Command::new(Action::RevokeToken, object).with("name", &known.name);
        self.command(who, command, async { Ok(self.store.revoke_api_token(id, self.now().await?).await?.into()) }).await
    }
}

use serde::{Deserialize, Serialize};

use super::action::{Action, Reach};
use super::role::Role;
use super::scope::{Labels, Scope};

/// Who wants something, as his token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Principal {
    /// The person or program. Two tokens of one person have the same name here; by it duties are kept apart.
    pub name: String,
    /// What he may do.
    pub role: Role,
    /// On what.
    pub scope: Scope,
}

/// What an action is about. What is not known is left out, and is then refused wherever it matters.
#[derive(Debug, Clone, Default)]
pub struct Object<'a> {
    /// The labels of the experiment (or schedule, or game day), if it is about one.
    pub experiment: Option<&'a Labels>,
    /// Every host that it touches, by name, with its labels if they are known.
    pub hosts: Vec<(&'a str, Option<&'a Labels>)>,
    /// Who asked for what is to be approved.
    pub requested_by: Option<&'a str>,
    /// The role and the scope of the token that is made or revoked.
    pub token: Option<(Role, &'a Scope)>,
}

/// Why something is refused; for the audit log and for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "reason")]
pub enum Denied {
    /// The role is too low.
    #[error("`{action}` needs the role {needed}, and this token has {has}")]
    Role {
        /// What was wanted.
        action: Action,
        /// The least role.
        needed: Role,
        /// The token's role.
        has: Role,
    },
    /// It is about all hosts, and the token is not.
    #[error("`{action}` is about the whole fleet, and this token is for {scope} only")]
    Fleet {
        /// What was wanted.
        action: Action,
        /// The token's scope.
        scope: Scope,
    },
    /// A host is not in the scope.
    #[error("the host {host} is not in the scope {scope} of this token: see its label `{label}`")]
    Host {
        /// The host.
        host: String,
        /// The label that it lacks, or has with another value.
        label: String,
        /// The token's scope.
        scope: Scope,
    },
    /// The experiment is not in the scope.
    #[error("the experiment is not in the scope {scope} of this token: see its label `{label}`")]
    Experiment {
        /// The label that it lacks, or has with another value.
        label: String,
        /// The token's scope.
        scope: Scope,
    },
    /// It is not known what it would touch, so it cannot be in a scope.
    #[error("it is not known what `{action}` would touch{}, and this token is for {scope} only", .host.as_deref().map(|host| format!(" ({host} has told no labels)")).unwrap_or_default())]
    Unknown {
        /// What was wanted.
        action: Action,
        /// The host whose labels nobody knows, if it is one.
        host: Option<String>,
        /// The token's scope.
        scope: Scope,
    },
    /// Nobody approves what he himself asked for.
    #[error("{name} asked for this himself: somebody else has to approve it")]
    Own {
        /// Who.
        name: String,
    },
    /// It is not known who asked for it, so it may have been the approver himself.
    #[error("it is not known who asked for this, so nobody can approve it")]
    NobodyAsked,
    /// The token would be mightier than the one with which it is made, or is mightier than the one that revokes it.
    #[error("a token of the role {role} for {scope} is beyond this token, which has {has} for {own}")]
    Beyond {
        /// The role of the token that is made or revoked.
        role: Role,
        /// Its scope.
        scope: Scope,
        /// The role of who wants it.
        has: Role,
        /// The scope of who wants it.
        own: Scope,
    },
    /// It was not said which token is meant.
    #[error("it was not said which token is made or revoked")]
    NoToken,
}

/// Whether somebody may do something.
///
/// # Errors
/// If not, with the reason.
pub fn allow(principal: &Principal, action: Action, object: &Object<'_>) -> Result<(), Denied> {
    let rule = action.rule();
    let Principal { name, role, scope } = principal;
    if *role < rule.role {
        return Err(Denied::Role { action, needed: rule.role, has: *role });
    }
    match rule.reach {
        Reach::Anyone => {}
        Reach::Fleet if scope.is_everything() => {}
        Reach::Fleet => return Err(Denied::Fleet { action, scope: scope.clone() }),
        Reach::Labelled => inside(scope, action, object)?,
        Reach::Token => {
            let (wanted, of) = object.token.ok_or(Denied::NoToken)?;
            if wanted > *role || !scope.includes(of) {
                let (has, own) = (*role, scope.clone());
                return Err(Denied::Beyond { role: wanted, scope: of.clone(), has, own });
            }
        }
    }
    if rule.by_another {
        let requester = object.requested_by.filter(|requester| !requester.trim().is_empty());
        // Names that differ only in case or in spaces around are one person's.
        let plain = |name: &str| name.trim().to_lowercase();
        if plain(requester.ok_or(Denied::NobodyAsked)?) == plain(name) {
            return Err(Denied::Own { name: name.clone() });
        }
    }
    Ok(())
}

/// Whether everything that is touched is known, and in the scope.
fn inside(scope: &Scope, action: Action, object: &Object<'_>) -> Result<(), Denied> {
    if scope.is_everything() {
        return Ok(());
    }
    let unknown = |host: Option<&str>| Denied::Unknown { action, host: host.map(str::to_owned), scope: scope.clone() };
    if object.experiment.is_none() && object.hosts.is_empty() {
        return Err(unknown(None));
    }
    if let Some(label) = object.experiment.and_then(|labels| scope.missing(labels)) {
        return Err(Denied::Experiment { label: label.to_owned(), scope: scope.clone() });
    }
    for (host, labels) in &object.hosts {
        let labels = labels.ok_or_else(|| unknown(Some(host)))?;
        if let Some(label) = scope.missing(labels) {
            let (host, label) = ((*host).to_owned(), label.to_owned());
            return Err(Denied::Host { host, label, scope: scope.clone() });
        }
    }
    Ok(())
}

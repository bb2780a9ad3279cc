//! Replacing the authority of the fleet: begin, switch, finish.
//!
//! The step is in the store, with the public part of the next authority; every controller follows it there. The key is
//! made by the controller that is asked to begin, and brought to the others by a person: no step is taken while a
//! controller that lives has not what it needs for it, nor while it would cut an agent off, unless that is wanted.

use faultline_agent::credentials::{Fingerprint, certificates};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::{Command, Object};
use super::{Controller, ControllerError};
use crate::access::{Action, Principal};
use crate::authority::{AuthorityError, Step, Succession};
use crate::store::{CertificateInUse, Rotation, RotationStep, StoreError};

/// So many agents that keep a step waiting are named.
const NAMED: usize = 100;
/// So many agents are told at once to renew their certificates: of ten thousand, each is within ten minutes.
const AT_ONCE: usize = 100;

/// Why a step is taken at once, whoever is cut off by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Force {
    /// For the audit log; not empty, at most 500 letters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// A step of a rotation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotationRequest {
    /// At once, although agents are cut off by it that must be enrolled again then. For `begin`: anew, in place of a
    /// rotation that was begun and not switched, as when its key was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force: Option<Force>,
}

/// How far a rotation of the authority is, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RotationView {
    /// `begun`, `switched`, or `finished`; nothing if there never was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// When that step was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The fingerprints of all authorities that are trusted now, the one that signs first. Give these to whoever uses the
    /// command line with --fingerprint.
    pub fingerprints: Vec<String>,
    /// The same authorities in PEM, for --ca.
    pub trust_bundle: String,
    /// `switch` or `finish`; `begin` if no rotation is under way.
    pub next_step: String,
    /// What must be done before that, in words; empty if it can be taken.
    pub waits: Vec<String>,
    /// The controllers that live.
    pub controllers: Vec<ControllerAuthority>,
    /// Agents that would be cut off by the next step, by name; 100 at most are named.
    pub agents: Vec<AgentWaited>,
    /// How many these are.
    pub agents_waited_for: usize,
}

/// What a controller has of the authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControllerAuthority {
    /// Its id.
    pub id: String,
    /// The URL of its API.
    pub url: String,
    /// The fingerprint of the authority with which it signs.
    pub signs: String,
    /// Whether it has the key of the authority that was begun, or that signs if none was.
    pub has_key: bool,
}

/// An agent that keeps a step waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentWaited {
    /// Its name.
    pub agent: String,
    /// Until when its certificate is good. It keeps nobody waiting after that.
    pub not_after: Timestamp,
    /// Whether it is connected here. If it is, it has been told to renew, and will within seconds.
    pub connected: bool,
}

/// What the next step of a rotation waits for.
struct Waiting {
    controllers: Vec<ControllerAuthority>,
    /// Those of them that have not what it needs.
    lacking: Vec<String>,
    agents: Vec<CertificateInUse>,
}

impl Controller {
    /// How far a rotation of the authority is.
    ///
    /// # Errors
    /// If `who` may not, or by the store.
    pub async fn rotation(&self, who: &Principal) -> Result<RotationView, ControllerError> {
        self.authorise(who, Action::SeeFleet, &Object::fleet("authority")).await?;
        self.rotation_now().await
    }

    /// Begins a rotation: the next authority is made here, and trusted by all from then on.
    ///
    /// # Errors
    /// If `who` may not, a rotation is under way, or by the store or the files.
    pub async fn begin_rotation(
        &self,
        who: &Principal,
        request: RotationRequest,
    ) -> Result<RotationView, ControllerError> {
        self.command(who, step("begin", &request)?, async {
            let certificate = self.authority.prepare(Timestamp::now())?;
            let next = fingerprint(&certificate)?.to_string();
            let former = match self.store.rotation().await? {
                // Of one that is begun anew, or not finished, which the store refuses.
                Some(rotation) if rotation.step != RotationStep::Finished => rotation.former,
                _ => self.authority.fingerprint()?.to_string(),
            };
            let now = self.now().await?;
            self.store.begin_rotation(&former, (&next, &certificate), request.force.is_some(), now).await?;
            self.follow_rotation().await?;
            self.rotation_now().await
        })
        .await
    }

    /// Lets the next authority sign.
    ///
    /// # Errors
    /// If `who` may not, none was begun, a controller has not its key, an agent does not trust it yet and it is not forced,
    /// or by the store or the files.
    pub async fn switch_rotation(
        &self,
        who: &Principal,
        request: RotationRequest,
    ) -> Result<RotationView, ControllerError> {
        self.command(who, step("switch", &request)?, async {
            let next = self.next_after(RotationStep::Begun, &request).await?;
            self.store.switch_rotation(&next, self.now().await?).await?;
            self.follow_rotation().await?;
            self.rotation_now().await
        })
        .await
    }

    /// Forgets the former authority. Certificates that it signed are refused from then on, and revoked.
    ///
    /// # Errors
    /// If `who` may not, none was switched, a controller does not sign with the next yet, an agent lives by a certificate of
    /// the former and it is not forced, or by the store or the files.
    pub async fn finish_rotation(
        &self,
        who: &Principal,
        request: RotationRequest,
    ) -> Result<RotationView, ControllerError> {
        self.command(who, step("finish", &request)?, async {
            let next = self.next_after(RotationStep::Switched, &request).await?;
            self.store.finish_rotation(&next, "the authority that signed it was replaced", self.now().await?).await?;
            self.follow_rotation().await?;
            self.read_revoked().await?;
            self.rotation_now().await
        })
        .await
    }

    /// Does here what the fleet decided, and has agents renew their certificates of which the next step waits. To be called
    /// every few seconds.
    ///
    /// # Errors
    /// If the store cannot be asked, the files not be written, or a key is not here.
    pub async fn follow_rotation(&self) -> Result<(), ControllerError> {
        let rotation = self.store.rotation().await?;
        let followed = match &rotation {
            Some(rotation) => self.authority.follow(&succession(rotation)?, Timestamp::now()),
            None => Ok(false),
        };
        let held = self.authority.held()?.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.store.controller_has(&self.id, &self.authority.fingerprint()?.to_string(), &held).await?;
        if followed? {
            tracing::info!(step = rotation.as_ref().map(|one| one.step.as_str()), "the authority is being replaced");
        }
        if let Some(rotation) = rotation.filter(|one| one.step != RotationStep::Finished) {
            let in_use = self.store.certificates_in_use(self.now().await?).await?;
            let mut late = in_use.into_iter().filter(|one| !is_ready(&rotation, one)).map(|one| one.agent);
            let told = late.by_ref().filter(|host| self.registry.order_renewal(std::slice::from_ref(host)) > 0);
            let told = told.take(AT_ONCE).count();
            if told > 0 {
                tracing::info!(agents = told, "told to renew their certificates");
            }
        }
        Ok(())
    }

    /// The next authority, once nobody keeps what comes after this step waiting. Where it is not the last step that was taken,
    /// the store refuses what comes after it.
    async fn next_after(&self, step: RotationStep, request: &RotationRequest) -> Result<String, ControllerError> {
        let Some(rotation) = self.store.rotation().await? else { return Ok(String::new()) };
        if rotation.step == step {
            self.waits_for_nobody(&rotation, request).await?;
        }
        Ok(rotation.next)
    }

    async fn waits_for_nobody(&self, rotation: &Rotation, request: &RotationRequest) -> Result<(), ControllerError> {
        let Waiting { lacking, agents, .. } = self.waiting(rotation).await?;
        if let [_, ..] = &*lacking {
            return Err(ControllerError::Rotation { message: lacking.join("; "), hint: BRING.into() });
        }
        if agents.is_empty() || request.force.is_some() {
            return Ok(());
        }
        let hint = "connected agents renew within seconds, others when they are back, and none waits longer than its \
                    certificate lasts; --force --reason WHY takes the step at once, and such hosts must be enrolled again";
        Err(ControllerError::Rotation { message: told(rotation.step, &agents), hint: hint.into() })
    }

    async fn waiting(&self, rotation: &Rotation) -> Result<Waiting, StoreError> {
        let now = self.store.now().await?;
        let mut lacking = Vec::new();
        let mut controllers = Vec::new();
        for one in self.store.authorities_of_controllers(now).await? {
            let has_key = one.holds.contains(&rotation.next);
            let name = format!("controller {} ({})", one.controller, one.address);
            match rotation.step {
                RotationStep::Begun | RotationStep::Switched if !has_key => {
                    lacking.push(format!("{name} has not the key of the next authority"));
                }
                RotationStep::Switched if one.signs != rotation.next => {
                    lacking.push(format!("{name} does not sign with the next authority yet"));
                }
                _ => {}
            }
            controllers.push(ControllerAuthority { id: one.controller, url: one.address, signs: one.signs, has_key });
        }
        let mut agents = match rotation.step {
            RotationStep::Finished => Vec::new(),
            _ => self.store.certificates_in_use(now).await?,
        };
        agents.retain(|one| !is_ready(rotation, one));
        Ok(Waiting { controllers, lacking, agents })
    }

    async fn rotation_now(&self) -> Result<RotationView, ControllerError> {
        let rotation = self.store.rotation().await?;
        let signs = self.authority.fingerprint()?;
        let bundle = self.authority.trust_bundle();
        let mut trusted: Vec<Fingerprint> =
            certificates(&bundle).unwrap_or_default().iter().map(Fingerprint::of).collect();
        trusted.sort_by_key(|one| *one != signs);
        // Where there was none, every controller must have the key of the one that signs.
        let looked_at = rotation.clone().unwrap_or_else(|| Rotation {
            step: RotationStep::Finished,
            former: String::new(),
            next: signs.to_string(),
            certificate: String::new(),
            since: Timestamp::UNIX_EPOCH,
        });
        let Waiting { controllers, lacking, agents } = self.waiting(&looked_at).await?;
        let mut waits = lacking;
        if !agents.is_empty() {
            waits.push(told(looked_at.step, &agents));
        }
        let next_step = match looked_at.step {
            RotationStep::Begun => "switch",
            RotationStep::Switched => "finish",
            RotationStep::Finished => "begin",
        };
        let connected = |name: &str| self.registry.line(name).is_some();
        Ok(RotationView {
            step: rotation.as_ref().map(|one| one.step.to_string()),
            since: rotation.map(|one| one.since),
            fingerprints: trusted.iter().map(ToString::to_string).collect(),
            trust_bundle: bundle,
            next_step: next_step.into(),
            waits,
            controllers,
            agents_waited_for: agents.len(),
            agents: agents
                .into_iter()
                .take(NAMED)
                .map(|one| AgentWaited { connected: connected(&one.agent), agent: one.agent, not_after: one.not_after })
                .collect(),
        })
    }
}

/// How a key comes to a controller.
const BRING: &str = "copy the folder `authority` of a controller that has it, and on the other: `faultline rotate join --data \
                     DIR --from COPY`; it is in use within seconds. A controller that is gone is waited for 15 s";

/// A step as a command.
fn step(name: &str, request: &RotationRequest) -> Result<Command, ControllerError> {
    let command = Command::new(Action::RotateAuthority, Object::fleet("authority")).with("step", name);
    match &request.force {
        Some(Force { reason }) if reason.trim().is_empty() || reason.chars().count() > 500 => {
            Err(ControllerError::request(
                "a step that is forced needs a reason of 1 to 500 letters",
                "it is for the audit log",
            ))
        }
        Some(Force { reason }) => Ok(command.with("force", true).with("reason", reason)),
        None => Ok(command),
    }
}

/// Whether the next step cuts this agent off.
fn is_ready(rotation: &Rotation, agent: &CertificateInUse) -> bool {
    match rotation.step {
        RotationStep::Begun => agent.trusts.contains(&rotation.next),
        RotationStep::Switched => agent.authority == rotation.next,
        RotationStep::Finished => true,
    }
}

fn told(step: RotationStep, agents: &[CertificateInUse]) -> String {
    let names: Vec<&str> = agents.iter().take(10).map(|one| one.agent.as_str()).collect();
    let more =
        if agents.len() > names.len() { format!(" and {} more", agents.len() - names.len()) } else { String::new() };
    let why = match step {
        RotationStep::Begun => "do not trust the next authority yet",
        _ => "live by a certificate of the former authority",
    };
    format!("{} agents {why}: {}{more}", agents.len(), names.join(", "))
}

fn succession(rotation: &Rotation) -> Result<Succession, ControllerError> {
    let step = match rotation.step {
        RotationStep::Begun => Step::Begun,
        RotationStep::Switched => Step::Switched,
        RotationStep::Finished => Step::Finished,
    };
    let former = rotation.former.parse().map_err(|error| ControllerError::Broken(format!("the store: {error}")))?;
    Ok(Succession { step, former, certificate: rotation.certificate.clone() })
}

fn fingerprint(certificate: &str) -> Result<Fingerprint, AuthorityError> {
    let read = certificates(certificate).unwrap_or_default();
    read.first().map(Fingerprint::of).ok_or_else(|| AuthorityError::Tls("the certificate cannot be read".into()))
}

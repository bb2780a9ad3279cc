//! What is sent to the API. `deny_unknown_fields` throughout: a misspelt field is an error, never ignored.

use std::collections::BTreeMap;

use faultline_agent::units::TimeSpan;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::game_day::machine::{Answer, Asked, Finding, FindingSeverity};

/// An experiment that is to be planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlanRequest {
    /// The text of the document: YAML or JSON, exactly one experiment.
    pub document: String,
    /// The seed of everything left to chance; the document's when absent, or else one that is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// An experiment that is to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunRequest {
    /// The text of the document: YAML or JSON, exactly one experiment.
    pub document: String,
    /// The seed of everything left to chance; the document's when absent, or else one that is drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How many people must approve the plan before the run is queued (0 unless told; the controller may demand more).
    #[serde(default)]
    pub approvals: u32,
    /// The hash that the plan must have; the run is refused if it is another one by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_hash: Option<String>,
    /// It does not start before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// It is cancelled if it could not start before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
}

/// A baseline of the gate that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaselineRequest {
    /// JSON of kind `GateBaseline`, as `faultline gate --baseline` writes it.
    pub document: String,
    /// The version that was read: it is kept only if nobody changed it since.
    pub version: i64,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageQuery {
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many, 1 to 500 (50 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "number")]
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

/// A number of a query, in which all values are texts. What is flattened into another query is read without being asked
/// for as a number, so that its text comes through.
fn number<'de, D: Deserializer<'de>>(text: D) -> Result<Option<u32>, D::Error> {
    let text = String::deserialize(text)?;
    text.parse().map(Some).map_err(|_| D::Error::custom(format!("`{text}` is no number")))
}

/// Which runs are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunsQuery {
    /// In one of these states, with commas between: `queued,running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of this experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
    /// Made by this schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Made by this game day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub game_day: Option<String>,
    /// Asked for by this actor: `token/ci`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// With all of these labels of the experiment, with commas between: `team=payments,tier=1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// Which page of them.
    #[serde(flatten)]
    pub page: PageQuery,
}

/// The formats of a report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportFormat {
    /// All data, as `schemas/report.json` describes it.
    #[default]
    Json,
    /// For people at a terminal, without colours.
    Human,
    /// One HTML file that loads nothing and runs nothing.
    Html,
    /// JUnit XML.
    Junit,
    /// Markdown.
    Markdown,
}

/// How a report is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportQuery {
    /// In which format.
    #[serde(default)]
    pub format: ReportFormat,
}

/// Which part of a journal is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JournalQuery {
    /// From where: 0, or the `next` of the part before.
    #[serde(default)]
    pub from: u64,
    /// For how many seconds to wait, 0 to 30, if there is nothing yet.
    #[serde(default)]
    #[schemars(range(max = 30))]
    pub wait: u64,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRequest {
    /// The hash of the plan that was looked at.
    pub plan_hash: String,
}

/// Why something is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reason {
    /// Why, for everybody whom it concerns and for the audit log; not empty, at most 500 letters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// A token by which hosts become agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrolmentTokenRequest {
    /// Labels that every host enrolled by it gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long it is good (1h unless told), 30 days at most.
    #[serde(default = "an_hour")]
    pub lasts: TimeSpan,
    /// How many hosts it enrols (1 unless told).
    #[serde(default = "one")]
    pub uses: u32,
}

fn an_hour() -> TimeSpan {
    TimeSpan::from_secs(3600)
}

fn one() -> u32 {
    1
}

/// A token for the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiTokenRequest {
    /// Who bears it: the actor in the audit log is `token/NAME`.
    pub name: String,
    /// `viewer`, `operator`, `approver` or `admin`.
    pub role: String,
    /// The labels to which it is limited: `team=payments,env=staging|test`. The whole fleet (`*`) unless told.
    #[serde(default = "everything")]
    pub scope: String,
    /// How long it is good; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<TimeSpan>,
}

fn everything() -> String {
    "*".into()
}

/// A schedule that is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleRequest {
    /// The text of the document: exactly one schedule, and perhaps the experiment that it names.
    pub document: String,
    /// The version that it replaces, 0 for none; whatever is there when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

/// Of which time the fires of a schedule are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiresQuery {
    /// From when (now unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when (two weeks later unless told; a year at most).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// How many, 1 to 1000 (100 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// A game day that is to be held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GameDayRequest {
    /// The text: exactly one game day, and the experiments that it names.
    pub document: String,
}

/// The forms of a game day's sheet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SheetForm {
    /// The run sheet as JSON.
    #[default]
    Json,
    /// The run sheet as Markdown.
    Markdown,
    /// The run sheet as one HTML file that loads nothing and runs nothing.
    Html,
    /// The postmortem's skeleton as Markdown.
    Postmortem,
    /// The postmortem's skeleton as one HTML file.
    PostmortemHtml,
}

/// How a sheet is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SheetQuery {
    /// In which form.
    #[serde(default)]
    pub format: SheetForm,
}

/// An answer to what a game day asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AnswerRequest {
    /// To what: the `asks` of the game day. Refused if something else is asked by now.
    pub to: Asked,
    /// How.
    pub answer: Answer,
    /// What is said with it, at most 500 letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteRequest {
    /// What is seen; not empty, at most 2000 letters.
    #[schemars(length(min = 1, max = 2000))]
    pub text: String,
    /// Tags; `detected`, `mitigated` and `recovered` mark these moments of the experiment that runs. At most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Something that somebody must see to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindingRequest {
    /// What; not empty, at most 2000 letters.
    #[schemars(length(min = 1, max = 2000))]
    pub text: String,
    /// How bad it is.
    pub severity: FindingSeverity,
    /// Who sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<jiff::civil::Date>,
}

impl FindingRequest {
    /// The finding, of whoever says it.
    pub fn by(self, author: String) -> Finding {
        let Self { text, severity, owner, due } = self;
        Finding { author, text, severity, owner, due }
    }
}

impl From<Finding> for FindingRequest {
    fn from(finding: Finding) -> Self {
        let Finding { author: _, text, severity, owner, due } = finding;
        Self { text, severity, owner, due }
    }
}

/// Which records of the audit log are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditQuery {
    /// By this actor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Of this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// On this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// At this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// How many, 1 to 1000 (100 unless told).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
}

/// How the audit log is verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyRequest {
    /// A head that was kept elsewhere, which the log must contain: `NUMBER:HASH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
}

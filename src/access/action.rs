use std::fmt;

use serde::Serialize;

use super::role::Role;

/// What an action is about, and so what of a scope must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Nobody's alone: a scope does not matter.
    Anyone,
    /// The experiment and every host that it touches: all of them must be in the scope, and their labels known.
    Labelled,
    /// All hosts at once: only for who has no scope.
    Fleet,
    /// A token: its role may not be higher, nor its scope wider, than those of who makes or revokes it.
    Token,
}

/// What one action needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// The action.
    pub action: Action,
    /// The least role.
    pub role: Role,
    /// What it is about.
    pub reach: Reach,
    /// Whether it must be about what somebody else asked for.
    pub by_another: bool,
    /// What it is, in a line, for the documentation.
    pub about: &'static str,
}

/// Declares the actions and their table together, so that none can be without a rule.
macro_rules! actions {
    ($($kind:ident = $name:literal, $role:ident, $reach:ident, $by_another:literal, $about:literal;)+) => {
        /// What somebody may want of a controller.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Action { $(#[doc = $about] $kind,)+ }

        /// What each action needs: the one table.
        pub const ACTIONS: &[Rule] = &[$(Rule {
            action: Action::$kind, role: Role::$role, reach: Reach::$reach, by_another: $by_another, about: $about,
        },)+];

        impl Action {
            /// As the audit log writes it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// What it needs.
            pub fn rule(self) -> Rule {
                // The table is in the order of the declaration.
                ACTIONS[self as usize]
            }
        }
    };
}

actions! {
    Halt = "halt", Viewer, Anyone, false, "Undo everything, cancel what is queued, refuse new runs.";
    See = "see", Viewer, Labelled, false, "Read a host, an experiment, a run, a report, a schedule or a game day.";
    SeeFleet = "see-fleet", Viewer, Fleet, false, "Read what is about all hosts: the metrics, the limits, tokens without their secrets.";
    SeeAudit = "see-audit", Viewer, Fleet, false, "Read the audit log.";
    Plan = "plan", Operator, Labelled, false, "Let agents plan an experiment; nothing is touched.";
    Run = "run", Operator, Labelled, false, "Ask for a run; where approval is needed, it waits for that.";
    Abort = "abort", Operator, Labelled, false, "Abort one run.";
    KeepBaseline = "keep-baseline", Operator, Anyone, false, "Keep the last runs of experiments as a baseline of the gate.";
    Recover = "recover", Operator, Labelled, false, "Let an agent try again to undo what is stuck.";
    Acknowledge = "acknowledge", Operator, Labelled, false, "Say that what a run may have left on a host is gone: other runs may be put on it.";
    Schedule = "schedule", Operator, Labelled, false, "Create, change, suspend or delete a schedule.";
    LeadGameDay = "lead-game-day", Operator, Labelled, false, "Create a game day, tick its checklist, pass a hold point, write notes.";
    Approve = "approve", Approver, Labelled, true, "Approve a plan, by its hash, that somebody else asked for.";
    ReleaseHalt = "release-halt", Approver, Fleet, false, "Allow runs again after a halt.";
    EnrolHost = "enrol-host", Admin, Labelled, false, "Make an enrolment token, for hosts with labels in the scope.";
    RevokeHost = "revoke-host", Admin, Labelled, false, "Revoke the certificates of a host.";
    MakeToken = "make-token", Admin, Token, false, "Make a token for the API.";
    RevokeToken = "revoke-token", Admin, Token, false, "Revoke a token for the API.";
    SetLimits = "set-limits", Admin, Fleet, false, "Set ceilings, blackouts and what needs approval.";
    SetNotifications = "set-notifications", Admin, Fleet, false, "Set to whom notifications go: they tell of all runs.";
    RotateAuthority = "rotate-authority", Admin, Fleet, false, "Replace the authority that signs certificates.";
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

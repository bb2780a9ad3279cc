//! Every endpoint there is. The router and the description are made from this table.

use axum::http::Method;

use super::endpoint::{Endpoint, endpoint, open};
use super::operations as does;
use crate::access::Action;

/// Where it is asked whether a controller can do its work.
pub(super) const READY: &str = "/readyz";

/// All endpoints.
#[rustfmt::skip] // One line an endpoint can be read as a table.
pub(super) fn endpoints() -> Vec<Endpoint> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const PUT: Method = Method::PUT;
    const DELETE: Method = Method::DELETE;
    vec![
        open("/healthz", "alive", "Whether the process lives", does::alive),
        open(READY, "ready", "Whether the store answers, some controller schedules, and this one is not about to end", does::ready),
        endpoint(GET, "/openapi.json", "description", "This description", Action::See, does::description),
        endpoint(GET, "/metrics", "metrics", "Metrics for Prometheus", Action::SeeFleet, does::metrics),
        endpoint(GET, "/v1/controllers", "listControllers", "The controllers of the fleet; each answers every call", Action::See, does::controllers),
        endpoint(GET, "/v1/budgets", "listBudgets", "What runs spent of error budgets, each in its present window", Action::See, does::budgets),
        endpoint(GET, "/v1/identity", "identity", "Who the token says that you are", Action::See, does::identity),

        endpoint(POST, "/v1/plans", "plan", "Which hosts a run would meet now, what it would do there, and the hash of that; nothing is touched", Action::Plan, does::plan),
        endpoint(POST, "/v1/runs", "submitRun", "Ask for a run: it is queued, or waits for approvals", Action::Run, does::submit).once(),
        endpoint(GET, "/v1/runs", "listRuns", "Runs, the newest first", Action::See, does::runs),
        endpoint(GET, "/v1/runs/{run}", "showRun", "One run with its hosts, approvals, document and plan", Action::See, does::run),
        endpoint(GET, "/v1/runs/{run}/report", "reportRun", "The report of a run, as far as it has come", Action::See, does::report),
        endpoint(GET, "/v1/runs/{run}/journal", "followRun", "What happened in a run, from any point on; waits for more if asked to", Action::See, does::journal),
        endpoint(POST, "/v1/runs/{run}/approval", "approveRun", "Approve the plan of a run", Action::Approve, does::approve),
        endpoint(POST, "/v1/runs/{run}/cancel", "cancelRun", "Cancel a run that waits; have one that is under way undo everything and end", Action::Abort, does::cancel),

        endpoint(GET, "/v1/baselines/{baseline}", "showBaseline", "The last runs of experiments under a name, with which the gate compares", Action::See, does::baseline),
        endpoint(PUT, "/v1/baselines/{baseline}", "putBaseline", "Keep them, in place of the version that was read", Action::KeepBaseline, does::put_baseline),

        endpoint(GET, "/v1/agents", "listAgents", "Agents by name: labels, health, faults in place, undos that are stuck, what runs may have left", Action::See, does::agents),
        endpoint(GET, "/v1/agents/{agent}", "showAgent", "One agent with its certificates", Action::See, does::agent),
        endpoint(POST, "/v1/agents/{agent}/revoke", "revokeAgent", "Take an agent out of the fleet at once", Action::RevokeHost, does::revoke_agent),
        endpoint(POST, "/v1/agents/{agent}/acknowledge", "acknowledgeAgent", "Say that what a run may have left on a host is gone: other runs may be put on it", Action::Acknowledge, does::acknowledge_agent),
        endpoint(GET, "/v1/enrolment-tokens", "listEnrolmentTokens", "Tokens by which hosts become agents, the newest first, without their secrets", Action::SeeFleet, does::enrolment_tokens),
        endpoint(POST, "/v1/enrolment-tokens", "createEnrolmentToken", "Make a token by which hosts become agents; it is shown this once", Action::EnrolHost, does::create_enrolment_token),
        endpoint(DELETE, "/v1/enrolment-tokens/{token}", "revokeEnrolmentToken", "Take such a token back", Action::EnrolHost, does::revoke_enrolment_token),

        endpoint(GET, "/v1/authority", "showAuthority", "Which authorities are trusted, how far a rotation is, and what its next step waits for", Action::SeeFleet, does::authority),
        endpoint(POST, "/v1/authority/begin", "beginRotation", "Make the next authority, and have everybody trust it", Action::RotateAuthority, does::begin_rotation),
        endpoint(POST, "/v1/authority/switch", "switchRotation", "Let the next authority sign", Action::RotateAuthority, does::switch_rotation),
        endpoint(POST, "/v1/authority/finish", "finishRotation", "Forget the former authority, and refuse its certificates", Action::RotateAuthority, does::finish_rotation),

        endpoint(GET, "/v1/tokens", "listTokens", "Tokens for this API, the newest first, without their secrets", Action::SeeFleet, does::api_tokens),
        endpoint(POST, "/v1/tokens", "createToken", "Make a token for this API; it is shown this once", Action::MakeToken, does::create_api_token),
        endpoint(DELETE, "/v1/tokens/{token}", "revokeToken", "Take such a token back", Action::RevokeToken, does::revoke_api_token),

        endpoint(GET, "/v1/schedules", "listSchedules", "All schedules, with their next times", Action::See, does::schedules),
        endpoint(PUT, "/v1/schedules", "putSchedule", "Keep a schedule, or replace the one of its name", Action::Schedule, does::put_schedule),
        endpoint(GET, "/v1/schedules/{schedule}", "showSchedule", "One schedule: its document, what became of its last times, its next ones", Action::See, does::schedule),
        endpoint(GET, "/v1/schedules/{schedule}/fires", "listFires", "When a schedule fires", Action::See, does::fires),
        endpoint(POST, "/v1/schedules/{schedule}/suspend", "suspendSchedule", "Have a schedule rest", Action::Schedule, does::suspend),
        endpoint(POST, "/v1/schedules/{schedule}/resume", "resumeSchedule", "Wake a schedule up", Action::Schedule, does::resume),
        endpoint(DELETE, "/v1/schedules/{schedule}", "deleteSchedule", "Remove a schedule", Action::Schedule, does::delete_schedule),

        endpoint(POST, "/v1/game-days", "submitGameDay", "Ask for a game day: its experiments are planned, and people are asked to approve that", Action::LeadGameDay, does::submit_game_day),
        endpoint(GET, "/v1/game-days", "listGameDays", "Game days, the newest first", Action::See, does::game_days),
        endpoint(GET, "/v1/game-days/{gameDay}", "showGameDay", "One game day: its plan and hash, what is asked now, approvals, answers, runs", Action::See, does::game_day),
        endpoint(GET, "/v1/game-days/{gameDay}/journal", "followGameDay", "What happened on a game day, from any entry on; waits for more if asked to", Action::See, does::game_day_journal),
        endpoint(GET, "/v1/game-days/{gameDay}/sheet", "sheetOfGameDay", "The run sheet of a game day, or the skeleton of its postmortem, as far as it has come", Action::See, does::game_day_sheet),
        endpoint(POST, "/v1/game-days/{gameDay}/approval", "approveGameDay", "Approve the plan of a game day", Action::Approve, does::approve_game_day),
        endpoint(DELETE, "/v1/game-days/{gameDay}/approval", "withdrawFromGameDay", "Take one's own approval back", Action::Approve, does::withdraw_game_day),
        endpoint(POST, "/v1/game-days/{gameDay}/plan", "replanGameDay", "Plan what has not begun anew, on the fleet as it is now; another plan voids every approval", Action::LeadGameDay, does::replan_game_day),
        endpoint(POST, "/v1/game-days/{gameDay}/answer", "answerGameDay", "Answer what is asked: a question of the checklist, or a hold", Action::LeadGameDay, does::answer_game_day),
        endpoint(POST, "/v1/game-days/{gameDay}/notes", "noteGameDay", "Note what is seen", Action::LeadGameDay, does::note_game_day),
        endpoint(POST, "/v1/game-days/{gameDay}/findings", "findInGameDay", "Write down what somebody must see to", Action::LeadGameDay, does::find_in_game_day),
        endpoint(POST, "/v1/game-days/{gameDay}/abort", "abortGameDay", "End a game day: what runs is undone, nothing more is started", Action::Abort, does::abort_game_day),

        endpoint(GET, "/v1/halt", "showHalt", "Whether the fleet is halted, by whom and why", Action::See, does::halt_state),
        endpoint(POST, "/v1/halt", "halt", "Undo everything everywhere now, cancel what waits, refuse new runs", Action::Halt, does::halt),
        endpoint(DELETE, "/v1/halt", "release", "Let new runs in again", Action::ReleaseHalt, does::release),

        endpoint(GET, "/v1/audit", "listAudit", "The audit log, the newest record first", Action::SeeAudit, does::audit),
        endpoint(POST, "/v1/audit/verify", "verifyAudit", "Follow the whole audit log, and see that nobody changed it", Action::SeeAudit, does::verify_audit),
    ]
}

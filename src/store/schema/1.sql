CREATE TABLE runs (
    id TEXT NOT NULL PRIMARY KEY,
    experiment TEXT NOT NULL,
    labels TEXT NOT NULL,
    seed BIGINT NOT NULL,
    plan_hash TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('api', 'schedule', 'game-day')),
    origin_name TEXT,
    origin_part TEXT,
    shared_hosts BIGINT NOT NULL,
    approvals_needed BIGINT NOT NULL,
    state TEXT NOT NULL
        CHECK (state IN ('queued', 'waiting-for-approval', 'claimed', 'running', 'closing', 'finished', 'cancelled')),
    submitted_at BIGINT NOT NULL,
    not_before BIGINT,
    deadline BIGINT,
    controller TEXT,
    epoch BIGINT NOT NULL,
    lease_until BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    verdict TEXT,
    because TEXT,
    stop_requested TEXT,
    CHECK (state NOT IN ('claimed', 'running', 'closing') OR (controller IS NOT NULL AND lease_until IS NOT NULL)),
    CHECK ((state IN ('finished', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX runs_by_state ON runs (state, submitted_at, id);
CREATE INDEX runs_by_time ON runs (submitted_at, id);
CREATE INDEX runs_by_origin ON runs (origin, origin_name, state);

CREATE TABLE run_documents (
    run TEXT NOT NULL PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    document TEXT NOT NULL,
    plan TEXT NOT NULL
);

CREATE TABLE run_entries (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (run, number)
);

CREATE TABLE run_hosts (
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    host TEXT NOT NULL,
    PRIMARY KEY (run, host)
);

CREATE TABLE host_locks (
    host TEXT NOT NULL,
    run TEXT NOT NULL REFERENCES runs (id),
    shared BIGINT NOT NULL CHECK (shared IN (0, 1)),
    since BIGINT NOT NULL,
    PRIMARY KEY (host, run)
);
CREATE UNIQUE INDEX host_locks_exclusive ON host_locks (host) WHERE shared = 0;
CREATE INDEX host_locks_by_run ON host_locks (run);

CREATE TABLE slots (
    schedule TEXT NOT NULL,
    slot BIGINT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('fired', 'missed')),
    run TEXT,
    because TEXT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (schedule, slot),
    CHECK ((outcome = 'fired') = (run IS NOT NULL))
);

CREATE TABLE definitions (
    kind TEXT NOT NULL CHECK (kind IN ('schedule', 'game-day')),
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    suspended BIGINT NOT NULL CHECK (suspended IN (0, 1)),
    version BIGINT NOT NULL,
    last_fire BIGINT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE game_days (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    labels TEXT NOT NULL,
    document TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    entries BIGINT NOT NULL,
    stage TEXT NOT NULL,
    ended_at BIGINT,
    controller TEXT,
    lease_until BIGINT
);
CREATE INDEX game_days_by_time ON game_days (opened_at, id);
CREATE INDEX game_days_by_end ON game_days (ended_at);

CREATE TABLE game_day_entries (
    game_day TEXT NOT NULL REFERENCES game_days (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (game_day, number)
);

CREATE TABLE game_day_plans (
    game_day TEXT NOT NULL REFERENCES game_days (id) ON DELETE CASCADE,
    number BIGINT NOT NULL,
    document TEXT NOT NULL,
    plan TEXT NOT NULL,
    hosts TEXT NOT NULL,
    PRIMARY KEY (game_day, number)
);

CREATE TABLE controllers (
    id TEXT NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);

CREATE TABLE agents (
    name TEXT NOT NULL PRIMARY KEY,
    labels TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    certificate TEXT NOT NULL,
    version TEXT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    controller TEXT,
    epoch BIGINT NOT NULL,
    health TEXT NOT NULL,
    active TEXT NOT NULL,
    stuck TEXT NOT NULL
);
CREATE INDEX agents_by_controller ON agents (controller);

CREATE TABLE certificates (
    serial TEXT NOT NULL PRIMARY KEY,
    subject TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('agent', 'controller')),
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_because TEXT
);
CREATE INDEX certificates_by_subject ON certificates (subject);

CREATE TABLE enrolment_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    uses_left BIGINT NOT NULL CHECK (uses_left >= 0),
    used_at BIGINT,
    used_by TEXT,
    revoked_at BIGINT
);

CREATE TABLE api_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    used_at BIGINT
);

CREATE TABLE approvals (
    object TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    approver TEXT NOT NULL,
    approved_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (object, plan_hash, approver)
);

CREATE TABLE halt (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    reason TEXT NOT NULL,
    halted_by TEXT NOT NULL,
    since BIGINT NOT NULL
);

CREATE TABLE leader (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    controller TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);
INSERT INTO leader (id, controller, epoch, lease_until) VALUES (1, '', 0, 0);

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    endpoint TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'given-up')),
    attempts BIGINT NOT NULL,
    next_attempt BIGINT NOT NULL,
    closed_at BIGINT,
    last_error TEXT
);
CREATE INDEX outbox_due ON outbox (state, next_attempt);

CREATE TABLE audit (
    sequence BIGINT NOT NULL PRIMARY KEY,
    recorded_at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    details TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE TABLE audit_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, sequence, hash)
    VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- Baselines of the gate: the last runs of each experiment, as the document that a file of them would be.
CREATE TABLE gate_baselines (
    name TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    document TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

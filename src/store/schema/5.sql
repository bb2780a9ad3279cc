-- Requests for runs that bear a key, so that the same request sent again makes no second run.
CREATE TABLE run_requests (
    requested_by TEXT NOT NULL,
    request_key TEXT NOT NULL,
    digest TEXT NOT NULL,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (requested_by, request_key)
);
CREATE INDEX run_requests_by_run ON run_requests (run);

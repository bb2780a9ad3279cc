-- Hosts on which a run may have left something: no other run is put there until that is known to be gone. What is left
-- outlives the run, so nothing refers to it.
CREATE TABLE unclean_hosts (
    host TEXT NOT NULL,
    run TEXT NOT NULL,
    leftovers TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (host, run)
);

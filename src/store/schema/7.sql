-- What runs spent of error budgets. It stays when a run is forgotten: budgets have windows of months.
CREATE TABLE budget_spendings (
    run TEXT NOT NULL PRIMARY KEY,
    began_at BIGINT NOT NULL,
    spending TEXT NOT NULL
);
CREATE INDEX budget_spendings_by_time ON budget_spendings (began_at);

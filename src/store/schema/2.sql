-- An agent has a connection with each of several controllers.
CREATE TABLE agent_connections (
    agent TEXT NOT NULL REFERENCES agents (name) ON DELETE CASCADE,
    controller TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (agent, controller)
);
CREATE INDEX agent_connections_by_controller ON agent_connections (controller);
INSERT INTO agent_connections (agent, controller, epoch)
    SELECT name, controller, epoch FROM agents WHERE controller IS NOT NULL;
DROP INDEX agents_by_controller;
ALTER TABLE agents DROP COLUMN controller;

-- host:port of the port for agents, as agents reach it; empty of a controller that has not said.
ALTER TABLE controllers ADD COLUMN agents TEXT NOT NULL DEFAULT '';

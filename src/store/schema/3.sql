-- The labels that an agent's certificate binds; none of one that has not connected since.
ALTER TABLE agents ADD COLUMN bound TEXT NOT NULL DEFAULT '{}';

-- The scope of who gave a definition. What was given before it was asked for is in nobody's, and must be given again.
ALTER TABLE definitions ADD COLUMN scope TEXT NOT NULL DEFAULT '';

-- Who asked for what, when, and how it ended. A row is written when a command begins and completed when it ends, so one
-- that is still running when the database is opened belongs to a process that died. Refusals are a set of their own
-- with a smaller share of the room: whoever may only look could otherwise push out what operators did.

INSERT INTO counters (name, value) VALUES ('audit', 0);

CREATE TABLE audit (
  id BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  door TEXT,
  caller TEXT NOT NULL,
  address TEXT,
  request_id TEXT,
  command TEXT NOT NULL,
  arguments_json TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'succeeded', 'failed', 'refused', 'unknown')),
  error_code TEXT,
  duration_ms DOUBLE PRECISION
);

-- Serve the pruning of each set, and the start-up question "what was left running".
CREATE INDEX audit_refusals ON audit (id) WHERE outcome = 'refused';
CREATE INDEX audit_others ON audit (id) WHERE outcome <> 'refused';
CREATE INDEX audit_running ON audit (id) WHERE outcome = 'running';

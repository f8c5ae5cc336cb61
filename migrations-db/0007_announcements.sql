-- Announcements: rounds that tell the network where the guest is, each at its time. A row is written when the first round
-- is due and completed behind the last, so one without an end when the database is opened belongs to a process that died.

INSERT INTO counters (name, value) VALUES ('announcements', 0);

CREATE TABLE announcements (
  id BIGINT PRIMARY KEY,
  -- Null for the one that an incoming migration makes by itself.
  name TEXT,
  migration_id TEXT,
  interfaces_json TEXT,
  schedule_json TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'completed', 'replaced', 'stopped', 'unknown')),
  rounds_made BIGINT NOT NULL
);

-- Serves the start-up question "what was left running".
CREATE INDEX announcements_running ON announcements (id) WHERE outcome = 'running';

CREATE TABLE announcement_rounds (
  announcement_id BIGINT NOT NULL REFERENCES announcements (id) ON DELETE CASCADE,
  round BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (announcement_id, round)
);

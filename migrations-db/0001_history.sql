-- The first tables: who the machine is, its settings version by version, the history of its migrations with their
-- passes and time lines, and the event log. All times are wall clock milliseconds since 1970. Numbers that are handed
-- out only once come from `counters`, since the newest row may have been pruned.

CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('migrations', 0), ('events', 0);

CREATE TABLE identity (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

CREATE TABLE settings_versions (
  kind TEXT NOT NULL CHECK (kind IN ('capabilities', 'parameters')),
  version BIGINT NOT NULL CHECK (version > 0),
  json TEXT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (kind, version)
);

CREATE TABLE migrations (
  sequence BIGINT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  direction TEXT NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
  uri TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT,
  error_code TEXT,
  error_description TEXT,
  guest TEXT CHECK (guest IN ('here', 'there', 'unknown')),
  settings_json TEXT NOT NULL,
  result_json TEXT
);

-- Serves the start-up question "what was left open" and lists filtered by status.
CREATE INDEX migrations_by_status ON migrations (status, sequence);

CREATE TABLE migration_passes (
  migration_id TEXT NOT NULL REFERENCES migrations (id) ON DELETE CASCADE,
  pass BIGINT NOT NULL,
  started_ms DOUBLE PRECISION NOT NULL,
  duration_ms DOUBLE PRECISION NOT NULL,
  sent_bytes BIGINT NOT NULL,
  normal_pages BIGINT NOT NULL,
  duplicate_pages BIGINT NOT NULL,
  dirty_bytes BIGINT NOT NULL,
  PRIMARY KEY (migration_id, pass)
);

CREATE TABLE migration_samples (
  migration_id TEXT NOT NULL REFERENCES migrations (id) ON DELETE CASCADE,
  position BIGINT NOT NULL,
  at_ms BIGINT NOT NULL,
  status TEXT NOT NULL,
  transferred_bytes BIGINT NOT NULL,
  remaining_bytes BIGINT NOT NULL,
  bandwidth DOUBLE PRECISION NOT NULL,
  dirty_pages_rate DOUBLE PRECISION NOT NULL,
  expected_downtime_ms DOUBLE PRECISION NOT NULL,
  pass BIGINT NOT NULL,
  PRIMARY KEY (migration_id, position)
);

CREATE TABLE events (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  data_json TEXT,
  at BIGINT NOT NULL
);

-- Jobs: work that may take longer than an answer may. An id may be used again once its job was dismissed, so rows are
-- told apart by their number. `is_open` marks what the next start has to look at: jobs that have not ended, and those
-- that left something to be put right.

INSERT INTO counters (name, value) VALUES ('jobs', 0);

CREATE TABLE jobs (
  sequence BIGINT PRIMARY KEY,
  id TEXT NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  resources_json TEXT NOT NULL,
  details_json TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at BIGINT,
  duration_ms BIGINT,
  current_progress BIGINT NOT NULL,
  total_progress BIGINT NOT NULL,
  outcome TEXT CHECK (outcome IN ('completed', 'failed', 'cancelled')),
  error_code TEXT,
  error_description TEXT,
  warnings_json TEXT NOT NULL,
  result_json TEXT,
  phase TEXT,
  is_open BIGINT NOT NULL
);

CREATE INDEX jobs_by_id ON jobs (id, sequence);

CREATE INDEX jobs_open ON jobs (is_open, sequence);

-- What lists are read from: a row for each job that has ended, under each resource that it needed and under '*', so that
-- a list filtered in any way is a walk along one index.
CREATE TABLE job_listings (
  job_sequence BIGINT NOT NULL REFERENCES jobs (sequence) ON DELETE CASCADE,
  resource TEXT NOT NULL,
  type TEXT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (job_sequence, resource)
);

CREATE INDEX job_listings_all ON job_listings (resource, job_sequence);

CREATE INDEX job_listings_by_type ON job_listings (resource, type, job_sequence);

CREATE INDEX job_listings_by_outcome ON job_listings (resource, outcome, job_sequence);

CREATE INDEX job_listings_by_both ON job_listings (resource, type, outcome, job_sequence);

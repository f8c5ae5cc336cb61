-- Lists filtered by time are walks along an index in the order of time, whatever else they are filtered by. Jobs that
-- never started have no time, and are in no such list.

CREATE INDEX migrations_by_start ON migrations (started_at, sequence);
CREATE INDEX migrations_by_status_and_start ON migrations (status, started_at, sequence);
CREATE INDEX migrations_by_direction_and_start ON migrations (direction, started_at, sequence);
CREATE INDEX migrations_by_both_and_start ON migrations (direction, status, started_at, sequence);

ALTER TABLE job_listings ADD COLUMN started_at BIGINT;
UPDATE job_listings SET started_at = (SELECT started_at FROM jobs WHERE jobs.sequence = job_listings.job_sequence);

CREATE INDEX job_listings_by_start ON job_listings (resource, started_at, job_sequence);
CREATE INDEX job_listings_by_type_and_start ON job_listings (resource, type, started_at, job_sequence);
CREATE INDEX job_listings_by_outcome_and_start ON job_listings (resource, outcome, started_at, job_sequence);
CREATE INDEX job_listings_by_both_and_start ON job_listings (resource, type, outcome, started_at, job_sequence);

CREATE INDEX audit_by_time ON audit (at, id);

-- What a recovery has to know of a job that left something half-made: which images, and which snapshot in them. With the
-- key of a request, the number of the job that it began: its id may be another job's by the time it is asked for again.

ALTER TABLE jobs ADD COLUMN recovery_json TEXT;

ALTER TABLE request_keys ADD COLUMN job_sequence BIGINT;

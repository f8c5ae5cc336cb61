-- The history keeps every migration; only the time lines of old ones go. `has_samples` says whose are still there, so
-- that the oldest is found without a walk over all of them. The others serve filtered lists.

ALTER TABLE migrations ADD COLUMN has_samples BIGINT NOT NULL DEFAULT 1;

CREATE INDEX migrations_with_samples ON migrations (has_samples, sequence);

CREATE INDEX migrations_by_direction ON migrations (direction, sequence);

CREATE INDEX migrations_by_direction_and_status ON migrations (direction, status, sequence);

-- Size, time and downtime of a migration in its row, so that lists show them for every end. What ended earlier has them
-- in the answer of query-migrate that was kept, or, where it did not complete, its size in the last point of its time line.

ALTER TABLE migrations ADD COLUMN transferred_bytes BIGINT;
ALTER TABLE migrations ADD COLUMN total_time_ms BIGINT;
ALTER TABLE migrations ADD COLUMN downtime_ms BIGINT;

UPDATE migrations SET
  transferred_bytes = json_extract(result_json, '$.ram.transferred'),
  total_time_ms = json_extract(result_json, '$."total-time"'),
  downtime_ms = json_extract(result_json, '$.downtime')
WHERE result_json IS NOT NULL AND json_valid(result_json);

UPDATE migrations SET transferred_bytes = (
  SELECT samples.transferred_bytes FROM migration_samples AS samples
  WHERE samples.migration_id = migrations.id ORDER BY samples.position DESC LIMIT 1
)
WHERE transferred_bytes IS NULL AND has_samples = 1;

-- The id under which both sides of a migration know it, where both are vmferrys: that of the source's row.

ALTER TABLE migrations ADD COLUMN shared_id TEXT;

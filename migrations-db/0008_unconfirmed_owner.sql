-- A guest may be at the target without the target's word for it. The CHECK of a column cannot be changed, so the column
-- is made anew.

ALTER TABLE migrations ADD COLUMN owner TEXT CHECK (owner IN ('here', 'there', 'there, unconfirmed', 'unknown'));
UPDATE migrations SET owner = guest;
ALTER TABLE migrations DROP COLUMN guest;
ALTER TABLE migrations RENAME COLUMN owner TO guest;

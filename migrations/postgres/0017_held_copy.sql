-- Set while the database is a restored copy: nothing is done by itself about orders that were placed until then.
ALTER TABLE hub ADD COLUMN held_since BIGINT;

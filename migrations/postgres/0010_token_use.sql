-- Which tokens of a sign-in its client was last seen to have, and since when. NULL: no use of refreshed tokens was seen.
ALTER TABLE sessions ADD COLUMN used_generation BIGINT;
ALTER TABLE sessions ADD COLUMN used_at BIGINT;

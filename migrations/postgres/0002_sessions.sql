-- When a sign-in was last seen by a request or an open socket; a refresh is seen in rotated_at. NULL: not since.
ALTER TABLE sessions ADD COLUMN last_active_at BIGINT;

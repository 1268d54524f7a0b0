-- Accounts that operators have suspended: nobody signs in to them, and none of their login sessions goes on.
ALTER TABLE users ADD COLUMN suspended_at BIGINT;

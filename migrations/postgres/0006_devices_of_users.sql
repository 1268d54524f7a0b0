-- Whether somebody signed in on a device before.
CREATE INDEX sessions_by_device ON sessions (user_id, device_id) WHERE device_id IS NOT NULL;

-- What clean-up looks for. Events are appended in the order of their times, so that the index only grows at its end.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX room_events_by_age ON room_events (at);

-- Who has read which notification: members read for themselves, not for each other.
CREATE TABLE notification_reads (
    notification_id TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id),
    at INTEGER NOT NULL,
    PRIMARY KEY (notification_id, user_id)
) WITHOUT ROWID;

-- Which order a marked event was about, so that a timeline finds its marks without the event.
ALTER TABLE device_marks ADD COLUMN order_id TEXT;
CREATE INDEX device_marks_by_order ON device_marks (order_id) WHERE order_id IS NOT NULL;

-- What clean-up looks for. Events are appended in the order of their times: a block range index of them is a few pages
-- and costs an order next to nothing.
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX room_events_by_age ON room_events USING brin (at) WITH (autosummarize = on);

-- Who has read which notification: members read for themselves, not for each other.
CREATE TABLE notification_reads (
    notification_id TEXT COLLATE "C" NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    at BIGINT NOT NULL,
    PRIMARY KEY (notification_id, user_id)
);

-- Which order a marked event was about, so that a timeline finds its marks without the event.
ALTER TABLE device_marks ADD COLUMN order_id TEXT COLLATE "C";
CREATE INDEX device_marks_by_order ON device_marks (order_id) WHERE order_id IS NOT NULL;

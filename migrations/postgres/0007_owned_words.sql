-- The words of an order carry whose they are and when it was placed, so that a search reads the caller's own rows and, of
-- those, the newest first. Orders that are there already get theirs by a job, in steps, from the last one down: this says
-- below which order it has still to go, and nothing once it is done.
ALTER TABLE hub ADD COLUMN search_below TEXT COLLATE "C";
UPDATE hub SET search_below = '~' WHERE EXISTS (SELECT 1 FROM orders);

-- The indexes operators' lists walk along order by an expression, so that nothing else does: a planner that can walk along them
-- for somebody's orders does so where those are many, past everybody else's.
DROP INDEX orders_by_time, orders_by_status;
CREATE INDEX orders_by_time ON orders ((created_at + 0), id);
CREATE INDEX orders_by_status ON orders (status, (created_at + 0), id);

-- The devices somebody uses, of which there is a bound. One that had to go has `gone_at` until its rows are gone as well.
CREATE TABLE devices (
    user_id TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    seen_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (user_id, device)
);
CREATE INDEX devices_by_age ON devices (seen_at);
CREATE INDEX devices_gone ON devices (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX device_acks_by_user ON device_acks (user_id, device);
CREATE INDEX device_marks_by_user ON device_marks (user_id, device);

-- What clean-up looks for; rows are appended in the order of their times.
CREATE INDEX order_acks_by_age ON order_acks USING brin (at) WITH (autosummarize = on);
CREATE INDEX device_marks_by_age ON device_marks USING brin (at) WITH (autosummarize = on);

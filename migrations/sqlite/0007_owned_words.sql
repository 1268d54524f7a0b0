-- The words of an order carry whose they are and when it was placed, so that a search reads the caller's own rows and, of
-- those, the newest first. The column holds the bare words, each behind a space, in hexadecimal like those of the index:
-- a list that is walked tests them there. Words of digits lose the zeros before them.
ALTER TABLE orders ADD COLUMN words TEXT NOT NULL DEFAULT '';
UPDATE orders SET words = w.words FROM (
    SELECT s.order_id, (
        SELECT coalesce(group_concat(' ' || CASE
            WHEN CAST(unhex(t.value) AS TEXT) GLOB '*[^0-9]*' THEN t.value
            WHEN ltrim(CAST(unhex(t.value) AS TEXT), '0') = '' THEN '30'
            ELSE lower(hex(ltrim(CAST(unhex(t.value) AS TEXT), '0'))) END, ''), '')
        FROM json_each('["' || replace(s.words, ' ', '","') || '"]') t
    ) AS words FROM orders_search s
) w WHERE w.order_id = orders.id;

CREATE VIRTUAL TABLE order_search USING fts5 (order_id UNINDEXED, words, detail = none, tokenize = 'ascii');
INSERT INTO order_search (order_id, words)
SELECT o.id, (
    SELECT group_concat(
        'z' || substr(o.business_id, -10) || o.week || t.value || ' y' || o.week || t.value, ' ')
    FROM json_each('["' || replace(trim(o.words), ' ', '","') || '"]') t
) FROM (
    SELECT id, business_id, words, created_at, printf('%04x', created_at / 604800000000) AS week
    FROM orders WHERE words <> '' ORDER BY created_at
) o;
DROP TABLE orders_search;

-- Where Postgres keeps how far it has come with the same; here it is done already.
ALTER TABLE hub ADD COLUMN search_below TEXT;

-- The devices somebody uses, of which there is a bound. One that had to go has `gone_at` until its rows are gone as well.
CREATE TABLE devices (
    user_id TEXT NOT NULL,
    device TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    gone_at INTEGER,
    PRIMARY KEY (user_id, device)
) WITHOUT ROWID;
CREATE INDEX devices_by_age ON devices (seen_at);
CREATE INDEX devices_gone ON devices (gone_at) WHERE gone_at IS NOT NULL;
CREATE INDEX device_acks_by_user ON device_acks (user_id, device);
CREATE INDEX device_marks_by_user ON device_marks (user_id, device);

-- What clean-up looks for; rows are appended in the order of their times.
CREATE INDEX order_acks_by_age ON order_acks (at);
CREATE INDEX device_marks_by_age ON device_marks (at);

-- An order lives by itself: deadlines, alerts, reachability, pauses, holds.

-- `alive_at`: the last sign of life of any node. A gap in it was an outage, after which deadlines end no earlier than `grace_until`
-- for what was placed before `outage_ended_at`. `leases_at`: when a node last renewed leases; `leases_since`: since when
-- they have been renewed without a gap.
ALTER TABLE hub ADD COLUMN alive_at INTEGER;
ALTER TABLE hub ADD COLUMN outage_ended_at INTEGER;
ALTER TABLE hub ADD COLUMN grace_until INTEGER;
ALTER TABLE hub ADD COLUMN leases_at INTEGER;
ALTER TABLE hub ADD COLUMN leases_since INTEGER;
ALTER TABLE hub ADD COLUMN brake_alarmed_at INTEGER;

-- What a business takes and how its orders ring. Lists of words are separated by spaces; NULL is all of them. `pauses` is a list
-- in JSON; a pause by time in `state` is one of an older release. `unanswered`: the customers of the orders that ran out in a row.
ALTER TABLE businesses ADD COLUMN accept_s INTEGER;
ALTER TABLE businesses ADD COLUMN ring_every_s INTEGER;
ALTER TABLE businesses ADD COLUMN auto_accept BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE businesses ADD COLUMN reach TEXT NOT NULL DEFAULT 'devices';
ALTER TABLE businesses ADD COLUMN accepts_fulfilment TEXT;
ALTER TABLE businesses ADD COLUMN accepts_payment TEXT;
ALTER TABLE businesses ADD COLUMN delivery_radius_m INTEGER NOT NULL DEFAULT 8000;
ALTER TABLE businesses ADD COLUMN muted_until INTEGER;
ALTER TABLE businesses ADD COLUMN can_ring_since INTEGER;
ALTER TABLE businesses ADD COLUMN unanswered TEXT;
ALTER TABLE businesses ADD COLUMN called_at INTEGER;
ALTER TABLE businesses ADD COLUMN mailed_at INTEGER;
ALTER TABLE businesses ADD COLUMN pauses TEXT;
-- Since when its devices are looked for: when it opened, or a pause ended.
ALTER TABLE businesses ADD COLUMN opened_at INTEGER;
-- Which businesses were paused by machine, and since when, for the brake.
ALTER TABLE businesses ADD COLUMN unreachable_since INTEGER;
CREATE INDEX businesses_unreachable ON businesses (unreachable_since) WHERE unreachable_since IS NOT NULL;

ALTER TABLE orders ADD COLUMN placed_by TEXT;
ALTER TABLE orders ADD COLUMN placed_at INTEGER;
ALTER TABLE orders ADD COLUMN answered_at INTEGER;
ALTER TABLE orders ADD COLUMN deadline_at INTEGER;

-- What waits for a time in the life of each order. `due_at`: the next time; NULL when nothing does. `attempt` grows with each write.
CREATE TABLE order_sagas (
    order_id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL,
    due_at INTEGER,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    auto_accept BOOLEAN NOT NULL DEFAULT FALSE,
    rings INTEGER NOT NULL DEFAULT 0,
    first_ring_at INTEGER,
    last_ring_at INTEGER,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX order_sagas_due ON order_sagas (due_at, order_id) WHERE due_at IS NOT NULL;
CREATE INDEX order_sagas_by_age ON order_sagas (created_at);

-- A use of a channel to the outside: the row first, the call with its id, then what came of it.
CREATE TABLE intents (
    id TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    rung TEXT NOT NULL,
    business_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (order_id, rung, channel)
) WITHOUT ROWID;
CREATE INDEX intents_due ON intents (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX intents_by_age ON intents (created_at);

-- Which node holds a device of which business that can ring, and until when that is believed.
CREATE TABLE reach_leases (
    business_id TEXT NOT NULL,
    node TEXT NOT NULL,
    devices INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (business_id, node)
) WITHOUT ROWID;
CREATE INDEX reach_leases_by_end ON reach_leases (until);

-- What operators have stopped the hub from doing by itself, and until when.
CREATE TABLE holds (
    what TEXT NOT NULL,
    scope TEXT NOT NULL,
    until INTEGER NOT NULL,
    reason TEXT NOT NULL,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (what, scope)
) WITHOUT ROWID;

-- What operators and members changed that others have to be able to ask about.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX audit_by_age ON audit (at);

-- Which members a call may reach when the contact of the business does not answer. NULL: owners are, others are not.
ALTER TABLE members ADD COLUMN alert_me BOOLEAN;
ALTER TABLE users ADD COLUMN phone TEXT;

-- Orders of an older release that live get a saga: it takes them in when it is fired.
INSERT INTO order_sagas (order_id, business_id, due_at, attempt, state, created_at)
    SELECT id, business_id, 0, 0, '{}', created_at FROM orders
    WHERE status NOT IN ('delivered', 'rejected', 'cancelled', 'failed');

-- Which of a customer's orders wait at a business, which is counted for each new one.
CREATE INDEX orders_waiting ON orders (customer_id, business_id) WHERE status = 'placed';

-- How often what an order says was changed (address, phone, notes, ready_at), and each change: which of them, never what.
ALTER TABLE orders ADD COLUMN edits BIGINT NOT NULL DEFAULT 0;
CREATE TABLE order_edits (
    order_id TEXT NOT NULL,
    edit BIGINT NOT NULL,
    fields TEXT NOT NULL,
    party TEXT NOT NULL,
    user_id TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (order_id, edit)
);

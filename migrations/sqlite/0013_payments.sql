-- Money: payments and refunds of orders, what the provider says about them, and what an operator has to look at.

-- One attempt to pay an order. `counts`: it is the one that paid the order. `promised_minor`: refunds that have not succeeded.
-- `ask_at`: when the provider is asked next about a payment that is open. Amounts are minor units.
CREATE TABLE payments (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL,
    business_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    way TEXT NOT NULL,
    state TEXT NOT NULL,
    counts BOOLEAN NOT NULL DEFAULT FALSE,
    captured_minor INTEGER NOT NULL DEFAULT 0,
    refunded_minor INTEGER NOT NULL DEFAULT 0,
    promised_minor INTEGER NOT NULL DEFAULT 0,
    reference TEXT,
    redirect_url TEXT,
    user_id TEXT NOT NULL,
    ask_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT payments_refunded CHECK (refunded_minor >= 0 AND promised_minor >= 0
        AND refunded_minor + promised_minor <= captured_minor)
);
CREATE INDEX payments_of_order ON payments (order_id);
CREATE UNIQUE INDEX payments_open ON payments (order_id) WHERE state = 'initiated';
CREATE UNIQUE INDEX payments_counting ON payments (order_id) WHERE counts;
CREATE INDEX payments_to_ask ON payments (ask_at, id) WHERE ask_at IS NOT NULL;

-- Money that goes back. `due_at`: when the hub works on it next; `alarm_at`: when operators are told that it has not succeeded.
-- `told`: a message of the provider has said that it is done.
CREATE TABLE refunds (
    id TEXT NOT NULL PRIMARY KEY,
    payment_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    business_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    cause TEXT NOT NULL,
    reason TEXT,
    way TEXT NOT NULL,
    reference TEXT,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    first_sent_at INTEGER,
    due_at INTEGER,
    alarm_at INTEGER,
    told BOOLEAN NOT NULL DEFAULT FALSE,
    user_id TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX refunds_of_order ON refunds (order_id);
CREATE UNIQUE INDEX refunds_automatic ON refunds (payment_id) WHERE cause = 'automatic';
CREATE INDEX refunds_due ON refunds (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX refunds_late ON refunds (alarm_at, id) WHERE alarm_at IS NOT NULL;
CREATE INDEX refunds_by_state ON refunds (state, id);
CREATE INDEX refunds_open ON refunds (id) WHERE state <> 'succeeded';

-- Messages of the payment provider, as they came: the body is sealed. `key` makes a message count once. `replays`: how often an
-- operator let it be worked on again.
CREATE TABLE payment_messages (
    id TEXT NOT NULL PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    order_id TEXT,
    payment_id TEXT,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    replays INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX payment_messages_due ON payment_messages (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX payment_messages_by_age ON payment_messages (created_at);
-- Those of a payment that are not worked on yet, or wait for an operator.
CREATE INDEX payment_messages_open ON payment_messages (payment_id) WHERE state <> 'done';
CREATE INDEX payment_messages_of_order ON payment_messages (order_id);

-- What could not be worked on. `source`: the id of the message, or of the payment that the provider was asked about.
CREATE TABLE dead_letters (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    order_id TEXT,
    payment_id TEXT,
    state TEXT NOT NULL,
    replays INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE UNIQUE INDEX dead_letters_of_source ON dead_letters (source);
CREATE INDEX dead_letters_open ON dead_letters (id) WHERE state = 'open';
CREATE INDEX dead_letters_open_of_order ON dead_letters (order_id) WHERE state = 'open';
CREATE INDEX dead_letters_by_age ON dead_letters (created_at);

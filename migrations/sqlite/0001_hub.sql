-- The same tables as for Postgres, in the types SQLite has. Ids are the texts everybody sees, times are
-- microseconds since 1970 in UTC, money is in minor units. WITHOUT ROWID: one tree to write instead of two.

-- One row: what holds for the whole store. The epoch tells this history from that of a restored copy.
CREATE TABLE hub (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
);
INSERT INTO hub (id, epoch) VALUES (1, (random() & 4294967295) | 1);

CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('customer', 'merchant', 'driver', 'admin')),
    name TEXT,
    approved BOOLEAN NOT NULL,
    created_at INTEGER NOT NULL
);

-- A sign-in is also the family of its refresh tokens; only hashes of the last two generations are kept.
CREATE TABLE sessions (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    device_id TEXT,
    device_name TEXT,
    device_platform TEXT,
    generation INTEGER NOT NULL,
    token_hash TEXT NOT NULL,
    previous_hash TEXT,
    rotated_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE tickets (
    jti TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

CREATE TABLE businesses (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    lat REAL NOT NULL,
    lng REAL NOT NULL,
    zone TEXT NOT NULL,
    timezone TEXT NOT NULL,
    currency TEXT NOT NULL,
    prep_minutes INTEGER NOT NULL,
    tables INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'busy', 'paused', 'closed')),
    extra_minutes INTEGER,
    paused_until INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CHECK ((state = 'busy') = (extra_minutes IS NOT NULL)),
    CHECK ((state = 'paused') = (paused_until IS NOT NULL))
);

CREATE TABLE members (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'staff')),
    PRIMARY KEY (business_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id, business_id);

CREATE TABLE menu_items (
    business_id TEXT NOT NULL REFERENCES businesses (id),
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    category TEXT,
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    available BOOLEAN NOT NULL,
    PRIMARY KEY (business_id, sku)
) WITHOUT ROWID;
CREATE INDEX menu_items_by_category ON menu_items (business_id, category, name, sku);
CREATE INDEX menu_items_by_available ON menu_items (business_id, available);

-- The number an order gets is short, and unique for its business and that business's own day.
CREATE TABLE order_counters (
    business_id TEXT NOT NULL,
    day TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (business_id, day)
) WITHOUT ROWID;

-- phone and address are sealed; the customer's name is not.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    order_number INTEGER NOT NULL,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    customer_id TEXT NOT NULL REFERENCES users (id),
    customer_name TEXT NOT NULL,
    phone TEXT,
    address TEXT,
    fulfilment TEXT NOT NULL,
    status TEXT NOT NULL,
    payment_method TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    total_minor INTEGER NOT NULL CHECK (total_minor >= 0),
    currency TEXT NOT NULL,
    notes TEXT,
    table_no INTEGER,
    prep_minutes INTEGER,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX orders_by_business_status ON orders (business_id, status, created_at, id);
CREATE INDEX orders_by_business ON orders (business_id, created_at, id);
CREATE INDEX orders_by_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_by_table ON orders (business_id, table_no) WHERE table_no IS NOT NULL;
CREATE INDEX orders_by_status ON orders (status, created_at, id);
CREATE INDEX orders_by_time ON orders (created_at, id);
-- Words are stored in hexadecimal: the tokenizer sees letters and digits only and splits none of them.
CREATE VIRTUAL TABLE orders_search USING fts5 (order_id UNINDEXED, words, detail = none, tokenize = 'ascii');

CREATE TABLE order_items (
    order_id TEXT NOT NULL REFERENCES orders (id),
    line INTEGER NOT NULL,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    qty INTEGER NOT NULL CHECK (qty > 0),
    price_minor INTEGER NOT NULL,
    PRIMARY KEY (order_id, line)
) WITHOUT ROWID;

-- Every transition of an order: its timeline.
CREATE TABLE order_events (
    order_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    party TEXT NOT NULL,
    user_id TEXT,
    reason TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (order_id, version)
) WITHOUT ROWID;

CREATE TABLE notifications (
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT NOT NULL,
    priority TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX notifications_by_business ON notifications (business_id, id);

-- The body is sealed. A row is there before its answer is, so that a duplicate waits for the first request's commit.
CREATE TABLE idempotency_keys (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    request_mac TEXT NOT NULL,
    status INTEGER,
    body TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What happened already. Ids follow time, so that old ones are a range.
CREATE TABLE commands (
    id TEXT NOT NULL PRIMARY KEY,
    outcome TEXT
) WITHOUT ROWID;

-- The next number of each room. Locked last in a transaction and in order of the rooms' names.
CREATE TABLE room_seq (
    room TEXT NOT NULL PRIMARY KEY,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE room_events (
    room TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL,
    order_id TEXT,
    PRIMARY KEY (room, epoch, seq)
) WITHOUT ROWID;

-- How far each device has each room.
CREATE TABLE device_acks (
    room TEXT NOT NULL,
    device TEXT NOT NULL,
    user_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room, device)
) WITHOUT ROWID;

-- When each device first had each new order.
CREATE TABLE order_acks (
    order_id TEXT NOT NULL,
    device TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (order_id, device)
) WITHOUT ROWID;

CREATE TABLE device_marks (
    room TEXT NOT NULL,
    device TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('shown', 'acted')),
    user_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (room, device, epoch, seq, kind)
) WITHOUT ROWID;

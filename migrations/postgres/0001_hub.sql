-- Ids are the texts everybody sees, times are microseconds since 1970 in UTC, money is in minor units.

-- One row: what holds for the whole store. The epoch tells this history from that of a restored copy.
CREATE TABLE hub (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    epoch BIGINT NOT NULL
);
INSERT INTO hub (id, epoch) VALUES (1, floor(random() * 4294967295)::BIGINT + 1);

CREATE TABLE users (
    id TEXT COLLATE "C" PRIMARY KEY,
    email TEXT COLLATE "C" NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('customer', 'merchant', 'driver', 'admin')),
    name TEXT,
    approved BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

-- A sign-in is also the family of its refresh tokens; only hashes of the last two generations are kept.
CREATE TABLE sessions (
    id TEXT COLLATE "C" PRIMARY KEY,
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    device_id TEXT,
    device_name TEXT,
    device_platform TEXT,
    generation BIGINT NOT NULL,
    token_hash TEXT NOT NULL,
    previous_hash TEXT,
    rotated_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE tickets (
    jti TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

CREATE TABLE businesses (
    id TEXT COLLATE "C" PRIMARY KEY,
    name TEXT NOT NULL,
    lat DOUBLE PRECISION NOT NULL,
    lng DOUBLE PRECISION NOT NULL,
    zone TEXT NOT NULL,
    timezone TEXT NOT NULL,
    currency TEXT NOT NULL,
    prep_minutes BIGINT NOT NULL,
    tables BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'busy', 'paused', 'closed')),
    extra_minutes BIGINT,
    paused_until BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK ((state = 'busy') = (extra_minutes IS NOT NULL)),
    CHECK ((state = 'paused') = (paused_until IS NOT NULL))
);

CREATE TABLE members (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'staff')),
    PRIMARY KEY (business_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id, business_id);

CREATE TABLE menu_items (
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    sku TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    category TEXT COLLATE "C",
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    available BOOLEAN NOT NULL,
    PRIMARY KEY (business_id, sku)
);
CREATE INDEX menu_items_by_category ON menu_items (business_id, category, name, sku);
CREATE INDEX menu_items_by_available ON menu_items (business_id, available);

-- The number an order gets is short, and unique for its business and that business's own day.
CREATE TABLE order_counters (
    business_id TEXT COLLATE "C" NOT NULL,
    day TEXT COLLATE "C" NOT NULL,
    last BIGINT NOT NULL,
    PRIMARY KEY (business_id, day)
);

-- phone and address are sealed; the customer's name is not.
CREATE TABLE orders (
    id TEXT COLLATE "C" PRIMARY KEY,
    order_number BIGINT NOT NULL,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    customer_id TEXT COLLATE "C" NOT NULL REFERENCES users (id),
    customer_name TEXT NOT NULL,
    phone TEXT,
    address TEXT,
    fulfilment TEXT NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    payment_method TEXT NOT NULL,
    payment_status TEXT NOT NULL,
    total_minor BIGINT NOT NULL CHECK (total_minor >= 0),
    currency TEXT NOT NULL,
    notes TEXT,
    table_no BIGINT,
    prep_minutes BIGINT,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    search TSVECTOR NOT NULL
);
CREATE INDEX orders_by_business_status ON orders (business_id, status, created_at, id);
CREATE INDEX orders_by_business ON orders (business_id, created_at, id);
CREATE INDEX orders_by_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_by_table ON orders (business_id, table_no) WHERE table_no IS NOT NULL;
CREATE INDEX orders_by_status ON orders (status, created_at, id);
CREATE INDEX orders_by_time ON orders (created_at, id);
CREATE INDEX orders_by_words ON orders USING GIN (search);

CREATE TABLE order_items (
    order_id TEXT COLLATE "C" NOT NULL REFERENCES orders (id),
    line BIGINT NOT NULL,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    qty BIGINT NOT NULL CHECK (qty > 0),
    price_minor BIGINT NOT NULL,
    PRIMARY KEY (order_id, line)
);

-- Every transition of an order: its timeline.
CREATE TABLE order_events (
    order_id TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    party TEXT NOT NULL,
    user_id TEXT COLLATE "C",
    reason TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (order_id, version)
);

CREATE TABLE notifications (
    id TEXT COLLATE "C" PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    message TEXT NOT NULL,
    data TEXT NOT NULL,
    priority TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX notifications_by_business ON notifications (business_id, id);

-- The body is sealed. A row is there before its answer is, so that a duplicate waits for the first request's commit.
CREATE TABLE idempotency_keys (
    scope TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    request_mac TEXT NOT NULL,
    status BIGINT,
    body TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- What happened already. Ids follow time, so that old ones are a range.
CREATE TABLE commands (
    id TEXT COLLATE "C" PRIMARY KEY,
    outcome TEXT
);

-- The next number of each room. Locked last in a transaction and in order of the rooms' names.
CREATE TABLE room_seq (
    room TEXT COLLATE "C" PRIMARY KEY,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL
);

CREATE TABLE room_events (
    room TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL,
    order_id TEXT COLLATE "C",
    PRIMARY KEY (room, epoch, seq)
);

-- How far each device has each room.
CREATE TABLE device_acks (
    room TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (room, device)
);

-- When each device first had each new order.
CREATE TABLE order_acks (
    order_id TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (order_id, device)
);

CREATE TABLE device_marks (
    room TEXT COLLATE "C" NOT NULL,
    device TEXT COLLATE "C" NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('shown', 'acted')),
    user_id TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (room, device, epoch, seq, kind)
);

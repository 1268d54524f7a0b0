-- Drivers, deliveries and offers.

-- How the delivery of an order by drivers stands, so that lists and access need no other row.
ALTER TABLE orders ADD COLUMN delivery_id TEXT;
ALTER TABLE orders ADD COLUMN delivery_status TEXT;
ALTER TABLE orders ADD COLUMN driver_id TEXT;

-- A driver's row decides: whether they may be asked, and how much they carry. Lists of zones are separated by line ends.
-- `wanted_zones`: asked for and not approved yet. Positions are written at most every ten seconds.
CREATE TABLE drivers (
    user_id TEXT NOT NULL PRIMARY KEY,
    vehicle TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    zones TEXT NOT NULL,
    wanted_zones TEXT,
    takes_cash BOOLEAN NOT NULL,
    online BOOLEAN NOT NULL DEFAULT FALSE,
    active INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    waiting_since INTEGER,
    alive_at INTEGER,
    lat REAL,
    lng REAL,
    position_at INTEGER,
    delivered INTEGER NOT NULL DEFAULT 0,
    on_time INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL,
    CONSTRAINT drivers_capacity CHECK (active >= 0 AND active <= capacity)
);
CREATE INDEX drivers_by_change ON drivers (updated_at);
CREATE INDEX drivers_online ON drivers (alive_at) WHERE online;

-- Accounts of drivers are listed, those without a row among them.
CREATE INDEX users_drivers ON users (id) WHERE role = 'driver';

-- The zones of each driver, one row each.
CREATE TABLE driver_zones (
    zone TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (zone, user_id)
);
CREATE INDEX driver_zones_of_driver ON driver_zones (user_id);

-- The delivery of an order: one, however often it changes hands. `attempt` is the fence of offers. `counts`: it counts for the
-- capacity of its driver. `code` is sealed.
CREATE TABLE deliveries (
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    business_id TEXT NOT NULL,
    zone TEXT NOT NULL,
    status TEXT NOT NULL,
    driver_id TEXT,
    counts BOOLEAN NOT NULL DEFAULT FALSE,
    attempt INTEGER NOT NULL DEFAULT 0,
    payout_minor INTEGER NOT NULL DEFAULT 0,
    currency TEXT NOT NULL,
    code TEXT NOT NULL,
    code_tries INTEGER NOT NULL DEFAULT 0,
    assigned_at INTEGER,
    at_pickup_at INTEGER,
    picked_up_at INTEGER,
    at_dropoff_at INTEGER,
    ended_at INTEGER,
    reason TEXT,
    proof TEXT,
    collected_minor INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    CONSTRAINT deliveries_driver CHECK (NOT counts OR driver_id IS NOT NULL)
);
CREATE INDEX deliveries_carried ON deliveries (driver_id) WHERE counts;
CREATE INDEX deliveries_of_driver ON deliveries (driver_id, assigned_at) WHERE driver_id IS NOT NULL;
CREATE INDEX deliveries_searched ON deliveries (zone, created_at) WHERE status IN ('unassigned', 'offered');

-- Offers, and assignments by operators in wave 0. A driver is asked once at a time for the same delivery.
CREATE TABLE offers (
    id TEXT NOT NULL PRIMARY KEY,
    delivery_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    business_id TEXT NOT NULL,
    driver_id TEXT NOT NULL,
    wave INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT NOT NULL,
    distance_m INTEGER NOT NULL,
    payout_minor INTEGER NOT NULL,
    stacked BOOLEAN NOT NULL DEFAULT FALSE,
    reason TEXT,
    deadline_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX offers_of_order ON offers (order_id);
CREATE INDEX offers_open_of_driver ON offers (driver_id) WHERE state = 'open';
CREATE UNIQUE INDEX offers_open ON offers (delivery_id, driver_id) WHERE state = 'open';
CREATE INDEX offers_by_age ON offers (created_at);

-- What drivers and operators reported: `said_at` is the device's time, `at` the one that counts. `late`: by a driver who had it no
-- more. `far_m`: how far the driver was from the place.
CREATE TABLE delivery_steps (
    order_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    step TEXT NOT NULL,
    party TEXT NOT NULL,
    user_id TEXT,
    at INTEGER NOT NULL,
    said_at INTEGER,
    late BOOLEAN NOT NULL DEFAULT FALSE,
    far_m INTEGER,
    reason TEXT,
    proof TEXT,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (order_id, n)
);
CREATE INDEX delivery_steps_by_age ON delivery_steps (created_at);

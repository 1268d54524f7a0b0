-- Where a business is reached when its devices are not (sealed), and who brings its deliveries.
ALTER TABLE businesses ADD COLUMN contact_email TEXT;
ALTER TABLE businesses ADD COLUMN contact_phone TEXT;
ALTER TABLE businesses ADD COLUMN delivered_by TEXT NOT NULL DEFAULT 'business'
    CHECK (delivered_by IN ('business', 'drivers'));

-- What is decided when an order is accepted or ends badly, and how often its delivery and its payment have changed.
ALTER TABLE orders ADD COLUMN ready_at INTEGER;
ALTER TABLE orders ADD COLUMN delivered_by TEXT;
ALTER TABLE orders ADD COLUMN ended_code TEXT;
ALTER TABLE orders ADD COLUMN ended_text TEXT;
ALTER TABLE orders ADD COLUMN delivery_version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE orders ADD COLUMN payment_version INTEGER NOT NULL DEFAULT 1;

-- Which numbers open orders have, so that no new one gets them.
CREATE INDEX orders_open_by_number ON orders (business_id, order_number)
    WHERE status NOT IN ('delivered', 'rejected', 'cancelled', 'failed');

-- Who was signed in on the device.
ALTER TABLE order_acks ADD COLUMN user_id TEXT;

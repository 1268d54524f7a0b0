-- A million orders over 500 businesses, one of which has 100,000, into an empty database of the hub's own schema.
-- Every tenth order is of the largest business; the newest 100 of all are `placed`.
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET jit = off;

-- Filled and then indexed, which takes a tenth of the time.
DROP INDEX orders_by_business_status, orders_by_business, orders_by_customer, orders_by_table, orders_by_status,
    orders_by_time, orders_by_words;

CREATE FUNCTION made_id(kind TEXT, ms BIGINT, n BIGINT) RETURNS TEXT IMMUTABLE LANGUAGE sql AS
    $$ SELECT kind || lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0') $$;

INSERT INTO users (id, email, password_hash, role, name, approved, created_at)
SELECT made_id('usr_', 1735689600000, n), 'u' || n || '@load.test', '-', CASE WHEN n <= 600 THEN 'merchant' ELSE 'customer' END,
    'User ' || n, true, 1735689600000000
FROM generate_series(1, 20600) n;

INSERT INTO businesses (id, name, lat, lng, zone, timezone, currency, prep_minutes, tables, state, version, created_at, updated_at)
SELECT made_id('biz_', 1735689600000, n), 'Business ' || n, 52.5, 13.4, 'centre', 'UTC', 'EUR', 20, 10, 'open', 1,
    1735689600000000, 1735689600000000
FROM generate_series(1, 500) n;

-- Merchant n owns business n; merchant 501 works for all of the first 50, merchant 502 for all 500.
INSERT INTO members (business_id, user_id, role)
SELECT made_id('biz_', 1735689600000, n), made_id('usr_', 1735689600000, n), 'owner' FROM generate_series(1, 500) n
UNION ALL
SELECT made_id('biz_', 1735689600000, n), made_id('usr_', 1735689600000, 501), 'staff' FROM generate_series(1, 50) n
UNION ALL
SELECT made_id('biz_', 1735689600000, n), made_id('usr_', 1735689600000, 502), 'staff' FROM generate_series(1, 500) n;

CREATE TEMPORARY TABLE made AS
SELECT n,
    CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + (n::bigint * 7919) % 499 END AS business,
    CASE WHEN n % 200 = 3 THEN 601 ELSE 602 + (n::bigint * 31) % 19999 END AS customer,
    1735689600000 + n::bigint * 30000 AS ms,
    1 + n % 250 AS number,
    (ARRAY['Ana','Anna','Zoe','Lukas','Maria','Jose','Li','Wei','Olga','Ivan','Aisha','Omar','Noah','Emma','Mia','Ben',
        'Lea','Paul','Nina','Jan'])[1 + (n::bigint * 7) % 20] AS first,
    'N' || lpad(to_hex(((n::bigint * 13) % 3000) * 40503 % 16777216), 6, '0') AS last,
    (ARRAY['SOUP','PIZZA','PASTA','SALAD','BURGER','RAMEN','TACO','CURRY'])[1 + (n::bigint * 3) % 8] AS dish,
    (n::bigint * 11) % 30 AS variant
FROM generate_series(1, 1000000) n;

INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, phone, address, fulfilment, status,
    payment_method, payment_status, total_minor, currency, version, created_at, updated_at, search)
SELECT made_id('ord_', ms, n), number, b.id, made_id('usr_', 1735689600000, customer),
    first || ' ' || last, NULL, NULL,
    'pickup',
    CASE WHEN n > 999900 THEN 'placed' WHEN n > 999500 THEN 'preparing' WHEN n % 50 = 0 THEN 'cancelled' ELSE 'delivered' END,
    'cash', 'pending', 1250, 'EUR', 1, ms * 1000, ms * 1000,
    array_to_tsvector(
        ARRAY(SELECT '@' || right(b.id, 10) || weeks || word FROM unnest(words) word)
        || ARRAY(SELECT '#' || week || word FROM unnest(words) word))
FROM made
CROSS JOIN LATERAL (SELECT made_id('biz_', 1735689600000, business) AS id) b
CROSS JOIN LATERAL (SELECT ARRAY[number::text, lower(first), lower(last), lower(dish), variant::text, 'bread'] AS words,
    lpad(to_hex(ms * 1000 / 604800000000), 4, '0') AS week, lpad(to_hex(ms * 1000 / 2419200000000), 4, '0') AS weeks) w
ORDER BY n;

INSERT INTO order_items (order_id, line, sku, name, qty, price_minor)
SELECT made_id('ord_', ms, n), line, CASE line WHEN 0 THEN dish || '-' || variant ELSE 'BREAD' END, 'Dish', 1, 625
FROM made CROSS JOIN generate_series(0, 1) line;

CREATE INDEX orders_by_business_status ON orders (business_id, status, created_at, id);
CREATE INDEX orders_by_business ON orders (business_id, created_at, id);
CREATE INDEX orders_by_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_by_table ON orders (business_id, table_no) WHERE table_no IS NOT NULL;
CREATE INDEX orders_by_status ON orders (status, (created_at + 0), id);
CREATE INDEX orders_by_time ON orders ((created_at + 0), id);
CREATE INDEX orders_by_words ON orders USING GIN (search);
DROP FUNCTION made_id;

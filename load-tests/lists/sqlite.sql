-- The same million orders as in postgres.sql, into an empty file of the hub's own schema.
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -400000;
PRAGMA temp_store = MEMORY;

DROP INDEX orders_by_business_status;
DROP INDEX orders_by_business;
DROP INDEX orders_by_customer;
DROP INDEX orders_by_table;
DROP INDEX orders_by_status;
DROP INDEX orders_by_time;
DROP INDEX orders_by_search_row;

CREATE TEMPORARY TABLE numbers AS
WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 1000000) SELECT n FROM count;

CREATE TEMPORARY VIEW people AS
SELECT n, printf('usr_%012x7%03x8%015x', 1735689600000, n % 4096, n) AS id FROM numbers WHERE n <= 20600;
CREATE TEMPORARY VIEW places AS
SELECT n, printf('biz_%012x7%03x8%015x', 1735689600000, n % 4096, n) AS id FROM numbers WHERE n <= 500;

BEGIN;
INSERT INTO users (id, email, password_hash, role, name, approved, created_at)
SELECT id, 'u' || n || '@load.test', '-', CASE WHEN n <= 600 THEN 'merchant' ELSE 'customer' END, 'User ' || n, 1,
    1735689600000000 FROM people;

INSERT INTO businesses (id, name, lat, lng, zone, timezone, currency, prep_minutes, tables, state, version, created_at, updated_at)
SELECT id, 'Business ' || n, 52.5, 13.4, 'centre', 'UTC', 'EUR', 20, 10, 'open', 1, 1735689600000000, 1735689600000000
FROM places;

INSERT INTO members (business_id, user_id, role)
SELECT b.id, u.id, 'owner' FROM places b JOIN people u ON u.n = b.n
UNION ALL SELECT b.id, u.id, 'staff' FROM places b JOIN people u ON u.n = 501 WHERE b.n <= 50
UNION ALL SELECT b.id, u.id, 'staff' FROM places b JOIN people u ON u.n = 502;

CREATE TEMPORARY TABLE made AS
SELECT n,
    CASE WHEN n % 10 = 0 THEN 1 ELSE 2 + (n * 7919) % 499 END AS business,
    CASE WHEN n % 200 = 3 THEN 601 ELSE 602 + (n * 31) % 19999 END AS customer,
    1735689600000 + n * 30000 AS ms,
    1 + n % 250 AS number,
    substr('Ana  Anna Zoe  LukasMariaJose Li   Wei  Olga Ivan AishaOmar Noah Emma Mia  Ben  Lea  Paul Nina Jan  ',
        1 + 5 * ((n * 7) % 20), 5) AS first,
    printf('N%06x', ((n * 13) % 3000) * 40503 % 16777216) AS last,
    substr('SOUP  PIZZA PASTA SALAD BURGERRAMEN TACO  CURRY ', 1 + 6 * ((n * 3) % 8), 6) AS dish,
    (n * 11) % 30 AS variant
FROM numbers;
UPDATE made SET first = trim(first), dish = trim(dish);

INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, fulfilment, status, payment_method,
    payment_status, total_minor, currency, version, created_at, updated_at, words, search_row)
SELECT printf('ord_%012x7%03x8%015x', ms, n % 4096, n), number,
    printf('biz_%012x7%03x8%015x', 1735689600000, business % 4096, business),
    printf('usr_%012x7%03x8%015x', 1735689600000, customer % 4096, customer),
    first || ' ' || last, 'pickup',
    CASE WHEN n > 999900 THEN 'placed' WHEN n > 999500 THEN 'preparing' WHEN n % 50 = 0 THEN 'cancelled' ELSE 'delivered' END,
    'cash', 'pending', 1250, 'EUR', 1, ms * 1000, ms * 1000,
    lower(' ' || hex(number) || ' ' || hex(lower(first)) || ' ' || hex(lower(last)) || ' ' || hex(lower(dish))
        || ' ' || hex(variant) || ' ' || hex('bread')), n
FROM made ORDER BY n;

INSERT INTO order_items (order_id, line, sku, name, qty, price_minor)
SELECT printf('ord_%012x7%03x8%015x', ms, n % 4096, n), line,
    CASE line WHEN 0 THEN dish || '-' || variant ELSE 'BREAD' END, 'Dish', 1, 625
FROM made CROSS JOIN (SELECT 0 AS line UNION ALL SELECT 1) ORDER BY n, line;
COMMIT;

CREATE INDEX orders_by_business_status ON orders (business_id, status, created_at, id);
CREATE INDEX orders_by_business ON orders (business_id, created_at, id);
CREATE INDEX orders_by_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_by_table ON orders (business_id, table_no) WHERE table_no IS NOT NULL;
CREATE INDEX orders_by_status ON orders (status, created_at, id);
CREATE INDEX orders_by_time ON orders (created_at, id);
CREATE UNIQUE INDEX orders_by_search_row ON orders (search_row, status, business_id, created_at, id);

BEGIN;
INSERT INTO order_search (rowid, words)
SELECT o.search_row, (
    SELECT group_concat('z' || substr(o.business_id, -10) || o.weeks || t.value || ' y' || o.week || t.value, ' ')
    FROM json_each('["' || replace(trim(o.words), ' ', '","') || '"]') t
) FROM (SELECT search_row, business_id, words, printf('%04x', created_at / 604800000000) AS week,
        printf('%04x', created_at / 2419200000000) AS weeks FROM orders ORDER BY created_at) o;
COMMIT;
-- As the hub does: without a limit SQLite keeps samples, and plans every question of the text index anew for them.
PRAGMA analysis_limit = 400;
ANALYZE;

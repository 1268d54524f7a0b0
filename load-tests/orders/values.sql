-- What order.sql draws from, and its values: name=value, as long as those of the hub's own rows.
\set QUIET on
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS load_businesses (n bigint PRIMARY KEY, id text COLLATE "C" NOT NULL);
TRUNCATE load_businesses;
INSERT INTO load_businesses SELECT row_number() OVER (ORDER BY id), id FROM businesses;
CREATE TABLE IF NOT EXISTS load_customers (n bigint PRIMARY KEY, id text COLLATE "C" NOT NULL);
-- Customers enough that transactions seldom meet on one of them; nobody can sign in as they.
INSERT INTO users (id, email, password_hash, role, name, approved, created_at)
  SELECT 'usr_' || md5(n::text), 'load-pgbench-' || n || '@example.org', 'none', 'customer', 'Load', true, 0
    FROM generate_series(1, 1000) n ON CONFLICT DO NOTHING;
TRUNCATE load_customers;
INSERT INTO load_customers SELECT n, 'usr_' || md5(n::text) FROM generate_series(1, 1000) n;
ANALYZE load_businesses, load_customers;
SELECT 'businesses=' || count(*) FROM load_businesses;
SELECT 'customers=' || count(*) FROM load_customers;
SELECT 'epoch=' || epoch FROM hub;
SELECT 'day=' || max(day) FROM order_counters;
SELECT 'words=' || array_to_string(tsvector_to_array(search), ' ') FROM orders ORDER BY id DESC LIMIT 1;
WITH sample AS (SELECT * FROM orders ORDER BY id DESC LIMIT 1000),
lengths (name, n) AS (
  SELECT 'customer_name', avg(length(customer_name)) FROM sample
  UNION ALL SELECT 'phone', avg(length(phone)) FROM sample
  UNION ALL SELECT 'street', avg(length(address)) FROM sample
  UNION ALL SELECT 'notes', avg(length(notes)) FROM sample
  UNION ALL SELECT 'item_name', avg(length(i.name)) FROM order_items i JOIN sample s ON s.id = i.order_id
  UNION ALL (SELECT 'message', avg(length(message)) FROM
    (SELECT message FROM notifications ORDER BY id DESC LIMIT 1000) m)
  UNION ALL (SELECT 'notification', avg(length(data)) FROM
    (SELECT data FROM notifications ORDER BY id DESC LIMIT 1000) d)
  UNION ALL SELECT 'scope', avg(length(scope)) FROM idempotency_keys
  UNION ALL SELECT 'mac', avg(length(request_mac)) FROM idempotency_keys
  UNION ALL SELECT 'answer', avg(length(body)) FROM idempotency_keys
  UNION ALL (SELECT 'outcome', avg(length(outcome)) FROM (SELECT outcome FROM commands ORDER BY id DESC LIMIT 1000) o)
  UNION ALL SELECT 'shop_data', avg(length(e.data)) FROM room_events e JOIN sample s ON s.id = e.order_id
    WHERE e.room LIKE 'business%'
  UNION ALL SELECT 'order_data', avg(length(e.data)) FROM room_events e JOIN sample s ON s.id = e.order_id
    WHERE e.room LIKE 'order%'
)
SELECT name || '=' || repeat('x', round(n)::int) FROM lengths;

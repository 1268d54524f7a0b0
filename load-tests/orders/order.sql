-- One order as a service by itself would write it: one transaction, the rows that the hub writes for one order, a
-- statement for each table, every value as long as in the hub's own rows.
\set n random(1, :businesses)
\set c random(1, :customers)
\set first random(0, 19)
BEGIN;
SELECT b.id AS business, b.state, b.version, c.id AS customer, i.new AS new, 'key-' || i.new AS key,
       'business:' || b.id AS shop_room, 'order:' || 'ord_' || i.new AS order_room,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS at
  FROM load_businesses n
  JOIN businesses b ON b.id = n.id
  JOIN load_customers c ON c.n = :c
 -- As a UUIDv7: the milliseconds first, so that new rows come to the end of their indexes.
 CROSS JOIN (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' ||
                    right(replace(gen_random_uuid()::text, '-', ''), 19) AS new) i
 WHERE n.n = :n \gset
INSERT INTO idempotency_keys (scope, key, request_mac, created_at) VALUES (:scope, :key, :mac, :at)
  ON CONFLICT (scope, key) DO NOTHING;
SELECT m.sku, m.name, m.category, m.price_minor, m.available FROM menu_items m
  WHERE m.business_id = :business AND m.sku IN ('item-' || lpad((:first)::text, 2, '0'),
                                               'item-' || lpad(((:first + 1) % 20)::text, 2, '0'));
INSERT INTO order_counters (business_id, day, last) VALUES (:business, :day, 1)
  ON CONFLICT (business_id, day) DO UPDATE SET last = order_counters.last + 1 RETURNING last AS number \gset
INSERT INTO orders (id, order_number, business_id, customer_id, customer_name, phone, address, fulfilment, status,
    payment_method, payment_status, total_minor, currency, notes, table_no, prep_minutes, version, created_at,
    updated_at, search)
  VALUES ('ord_' || :new, :number, :business, :customer, :customer_name, :phone, :street, 'delivery', 'placed', 'cash',
    'pending', 390, 'EUR', :notes, NULL, NULL, 1, :at, :at, array_to_tsvector(string_to_array(:words, ' ')));
INSERT INTO order_items (order_id, line, sku, name, qty, price_minor)
  VALUES ('ord_' || :new, 0, 'item-00', :item_name, 1, 130), ('ord_' || :new, 1, 'item-01', :item_name, 2, 130);
INSERT INTO order_events (order_id, version, from_status, to_status, party, user_id, reason, at)
  VALUES ('ord_' || :new, 1, NULL, 'placed', 'customer', :customer, NULL, :at);
INSERT INTO notifications (id, business_id, kind, title, message, data, priority, created_at)
  VALUES ('ntf_' || :new, :business, 'NEW_ORDER', 'New Order Received', :message, :notification, 'high', :at);
UPDATE idempotency_keys SET status = 201, body = :answer WHERE scope = :scope AND key = :key;
INSERT INTO commands (id, outcome) VALUES ('cmd_' || :new, :outcome);
WITH numbered AS (
  INSERT INTO room_seq (room, epoch, seq) VALUES (:shop_room, :epoch, 1), (:order_room, :epoch, 1)
    ON CONFLICT (room) DO UPDATE SET seq = room_seq.seq + excluded.seq RETURNING room, epoch, seq)
INSERT INTO room_events (room, epoch, seq, id, kind, at, data, order_id)
  SELECT r.room, r.epoch, r.seq, 'evt_' || :new, 'order_created', :at,
         CASE r.room WHEN :shop_room THEN :shop_data ELSE :order_data END, 'ord_' || :new
    FROM numbered r;
COMMIT;

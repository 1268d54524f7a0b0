-- Words are stored without case and accents, and those of a business by four weeks. Orders that are there already get
-- theirs by a job, in steps, from the last one down; they are found by walking past them until then.
--
-- The index keeps no copy of its terms: an order says which row of it is its own, and one index of orders has all that a
-- search asks of what it has found. NULL: not in the text index yet.
ALTER TABLE orders ADD COLUMN search_row INTEGER;
CREATE UNIQUE INDEX orders_by_search_row ON orders (search_row, status, business_id, created_at, id);
DROP TABLE order_search;
CREATE VIRTUAL TABLE order_search USING fts5 (words, content = '', detail = none, tokenize = 'ascii');
UPDATE hub SET search_below = '~' WHERE EXISTS (SELECT 1 FROM orders);

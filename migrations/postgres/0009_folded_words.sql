-- Words are stored without case and accents, and those of a business by four weeks. Orders that are there already get
-- theirs by a job, in steps, from the last one down; they are found by walking past them until then.
UPDATE hub SET search_below = '~' WHERE EXISTS (SELECT 1 FROM orders);

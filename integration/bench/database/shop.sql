-- The shop: text as applications write it. Every value follows from the row's number, so that each
-- run makes the same database; zstd takes its dump to about a seventh.

CREATE FUNCTION pick(id bigint, salt bigint, choices int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT ((hashint8extended(id, salt) & 9223372036854775807) % choices)::int $$;

CREATE FUNCTION word(id bigint, salt bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT (ARRAY['amber','basket','cotton','delivery','evening','fabric','garden','harbour','island','jacket','kitchen',
'lantern','morning','narrow','orange','paper','quiet','river','silver','table','umbrella','velvet','window','yellow','wooden',
'summer','blanket','copper','mirror','leather','bottle','candle'])[1 + pick(id, salt, 32)] $$;

CREATE TABLE customers (
    id bigint NOT NULL, key uuid NOT NULL, name text NOT NULL, email text NOT NULL, city text NOT NULL,
    balance numeric(12,2) NOT NULL, created_at timestamptz NOT NULL, note text);

-- Orders are updated, so their pages keep room: a changed row stays on its page.
CREATE TABLE orders (
    id bigint NOT NULL, customer_id bigint NOT NULL, status text NOT NULL, total numeric(12,2) NOT NULL,
    placed_at timestamptz NOT NULL, changed_at timestamptz, address text NOT NULL, lines text NOT NULL) WITH (fillfactor = 90);

CREATE TABLE events (
    id bigint NOT NULL, session uuid NOT NULL, customer_id bigint NOT NULL, at timestamptz NOT NULL, kind text NOT NULL,
    path text NOT NULL, agent text NOT NULL, payload text NOT NULL);

CREATE PROCEDURE add_customers(first bigint, last bigint) LANGUAGE sql AS $$
INSERT INTO customers
SELECT id, md5('c' || id)::uuid, initcap(word(id, 1)) || ' ' || initcap(word(id, 2)),
    word(id, 1) || '.' || word(id, 2) || id || '@example.org', initcap(word(id, 3)) || ' ' || word(id, 4),
    pick(id, 5, 1000000) / 100.0, timestamptz '2020-01-01 00:00:00+00' + id * interval '97 seconds',
    CASE WHEN pick(id, 6, 3) = 0 THEN 'Prefers ' || word(id, 7) || ' and ' || word(id, 8) || '; call in the ' || word(id, 9) END
FROM generate_series(first, last) id $$;

CREATE PROCEDURE add_orders(first bigint, last bigint) LANGUAGE sql AS $$
INSERT INTO orders
SELECT id, pick(id, 10, 100000), (ARRAY['placed','paid','packed','shipped','delivered','returned'])[1 + pick(id, 11, 6)],
    pick(id, 12, 100000) / 100.0, timestamptz '2021-01-01 00:00:00+00' + id * interval '13 seconds', NULL,
    pick(id, 13, 200) || ' ' || initcap(word(id, 14)) || ' Street, ' || initcap(word(id, 15)),
    format('[{"sku": "%s-%s", "name": "%s %s", "quantity": %s, "price": %s}, {"sku": "%s-%s", "name": "%s %s", "quantity": 1, "price": %s}]',
        upper(left(word(id, 16), 3)), pick(id, 17, 5000), word(id, 18), word(id, 16), 1 + pick(id, 19, 4), pick(id, 17, 5000) / 10.0,
        upper(left(word(id, 20), 3)), pick(id, 21, 5000), word(id, 22), word(id, 20), pick(id, 21, 5000) / 10.0)
FROM generate_series(first, last) id $$;

CREATE PROCEDURE add_events(first bigint, last bigint) LANGUAGE sql AS $$
INSERT INTO events
SELECT id, md5('s' || id / 12)::uuid, pick(id / 12, 30, 100000), timestamptz '2022-01-01 00:00:00+00' + id * interval '1.7 seconds',
    (ARRAY['view','view','view','search','basket','checkout','login','logout'])[1 + pick(id, 31, 8)],
    '/shop/' || word(id, 32) || '/' || word(id, 33) || '?page=' || pick(id, 34, 20),
    (ARRAY['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
        'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
        'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0'])[1 + pick(id / 12, 35, 3)],
    format('{"duration_ms": %s, "status": 200, "referrer": "https://www.example.org/%s", "experiment": {"name": "%s-%s", "variant": "%s"}, "items": [%s, %s]}',
        pick(id, 36, 4000), word(id / 12, 37), word(id, 38), word(id, 39), (ARRAY['control','a','b'])[1 + pick(id / 12, 40, 3)],
        pick(id, 41, 5000), pick(id, 42, 5000))
FROM generate_series(first, last) id $$;

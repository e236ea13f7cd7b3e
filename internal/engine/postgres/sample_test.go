package postgres_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/dataguardian/dataguardian/internal/engine"
)

// sampleTables is how many ordinary tables the sample has.
const sampleTables = 9

// sample has every kind of object that a dump can hold and that a restore has got wrong for somebody.
var sample = []string{
	`CREATE EXTENSION pg_trgm`,
	`CREATE SCHEMA sales`,
	`CREATE SCHEMA "Odd ""schema"" ünïcode"`,
	`CREATE TYPE sales.state AS ENUM ('new', 'paid', 'it''s gone')`,
	`CREATE DOMAIN sales.percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100)`,
	`CREATE TYPE sales.address AS (street text, zip varchar(10))`,
	`CREATE TABLE sales.customers (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, home sales.address,
		tags text[], extra jsonb, photo bytea, born date, rebate sales.percent DEFAULT 0,
		shout text GENERATED ALWAYS AS (upper(name)) STORED)`,
	`CREATE INDEX customers_trgm ON sales.customers USING gin (name gin_trgm_ops)`,
	`COMMENT ON TABLE sales.customers IS 'who ''buys'', with \ and "quotes"'`,
	`COMMENT ON COLUMN sales.customers.extra IS E'two\nlines'`,
	`CREATE TABLE sales.orders (
		id serial PRIMARY KEY, customer bigint NOT NULL REFERENCES sales.customers ON DELETE CASCADE,
		state sales.state NOT NULL DEFAULT 'new', total numeric(12,2) CHECK (total >= 0), placed timestamptz)`,
	`CREATE TABLE measurements (at timestamptz NOT NULL, value double precision) PARTITION BY RANGE (at)`,
	`CREATE TABLE measurements_2025 PARTITION OF measurements FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')`,
	`CREATE TABLE measurements_rest PARTITION OF measurements DEFAULT`,
	`CREATE TABLE nothing (a int, b text, c bytea, d jsonb)`,
	`CREATE TABLE no_rows (a int)`,
	"CREATE TABLE \"Odd \"\"schema\"\" ünïcode\".\"a 'table' \\ with\nall\" (\"col \"\"x\"\"\" text, \"ключ\" int PRIMARY KEY)",
	`CREATE TABLE "--dbname=evil" ("; DROP TABLE x" int)`,
	`CREATE TABLE log (line text)`,
	`CREATE SEQUENCE ticket START 1000 INCREMENT 5`,
	`CREATE FUNCTION sales.audit() RETURNS trigger LANGUAGE plpgsql AS $f$
		BEGIN INSERT INTO public.log VALUES (TG_OP || ' ' || coalesce(NEW.id, OLD.id)); RETURN NEW; END $f$`,
	`CREATE TRIGGER audit AFTER INSERT OR UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.audit()`,
	`CREATE VIEW sales.paid AS SELECT o.*, c.name FROM sales.orders o JOIN sales.customers c ON c.id = customer WHERE state = 'paid'`,
	`CREATE ROLE sample_reader`,
	`GRANT USAGE ON SCHEMA sales TO sample_reader`,
	`GRANT SELECT ON sales.customers TO sample_reader`,
	`ALTER TABLE sales.orders ENABLE ROW LEVEL SECURITY`,
	`CREATE POLICY readers ON sales.orders FOR SELECT TO sample_reader USING (total < 1000)`,
	`INSERT INTO sales.customers (name, home, tags, extra, photo, born, rebate)
		SELECT 'customer ' || i || ' \ ' || chr(9) || chr(10) || ' ünï ' || repeat('x', i % 50), row('street ' || i, i::varchar(10))::sales.address,
			ARRAY['a', NULL, 'with "quotes", {braces}'], jsonb_build_object('i', i, 'deep', jsonb_build_array(i, NULL, 'é')),
			decode(md5(i::text), 'hex'), date '1970-01-01' + i, i % 100
		FROM generate_series(1, 3000) i`,
	`INSERT INTO sales.customers (name) VALUES ('')`,
	`INSERT INTO sales.orders (customer, state, total, placed)
		SELECT 1 + i % 3000, (enum_range(NULL::sales.state))[1 + i % 3], i * 1.01, timestamptz '2025-01-01 UTC' + i * interval '1 hour'
		FROM generate_series(1, 5000) i`,
	`INSERT INTO measurements SELECT timestamptz '2025-06-01 UTC' + i * interval '1 day', CASE i WHEN 3 THEN 'NaN' WHEN 4 THEN '-Infinity' ELSE 1.0 / i END
		FROM generate_series(1, 500) i`,
	`INSERT INTO nothing SELECT FROM generate_series(1, 10)`,
	"INSERT INTO \"Odd \"\"schema\"\" ünïcode\".\"a 'table' \\ with\nall\" VALUES (E'\\\\N', 1), ('\\.', 2), (NULL, 3), ('', 4)",
	`INSERT INTO "--dbname=evil" VALUES (42)`,
	`CREATE MATERIALIZED VIEW sales.totals AS SELECT customer, sum(total) AS total FROM sales.orders GROUP BY 1`,
	`CREATE UNIQUE INDEX ON sales.totals (customer)`,
	`SELECT nextval('ticket') FROM generate_series(1, 7)`,
	`SELECT lo_from_bytea(424242, decode(repeat('00ff10', 5000), 'hex'))`,
	`SELECT lo_from_bytea(424243, '')`,
}

// newSample makes a database with the sample in it.
func newSample(t *testing.T, name string) engine.Source {
	t.Helper()
	src := create(t, name, "TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'")
	t.Cleanup(func() { execute(t, source(t, "postgres"), "DROP ROLE IF EXISTS sample_reader") })
	dropAfter(t, name) // before the role, which has rights in it
	execute(t, src, sample...)
	quoted := pgx.Identifier{name}.Sanitize()
	execute(t, src,
		"ALTER DATABASE "+quoted+` SET search_path TO "$user", public, sales, "Odd ""schema"" ünïcode"`,
		"ALTER DATABASE "+quoted+` SET "app.tenant" TO 'o''brien \ co'`,
		"ALTER ROLE sample_reader IN DATABASE "+quoted+" SET statement_timeout TO '5s'",
		"COMMENT ON DATABASE "+quoted+" IS 'the ''sample'''")
	return src
}

// content reads the definition of every object and every row.
func content(t *testing.T, src engine.Source) any {
	t.Helper()
	const userSchema = `nspname !~ '^pg_' and nspname <> 'information_schema'`
	found := map[string][]string{}
	for what, sql := range map[string]string{
		"columns": `select format('%I.%I.%I %s null=%s default=%s identity=%s generated=%s %s', nspname, relname, attname, format_type(atttypid, atttypmod),
				not attnotnull, pg_get_expr(adbin, adrelid), attidentity, attgenerated, col_description(c.oid, attnum))
			from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute a on attrelid = c.oid left join pg_attrdef on adrelid = c.oid and adnum = attnum
			where attnum > 0 and not attisdropped and ` + userSchema + ` order by 1`,
		"relations": `select format('%I.%I %s %s %s %s %s', nspname, relname, relkind, relrowsecurity, relacl, pg_get_userbyid(relowner), obj_description(c.oid, 'pg_class'))
			from pg_class c join pg_namespace n on n.oid = relnamespace where ` + userSchema + ` order by 1`,
		"constraints": `select format('%s %s', conname, pg_get_constraintdef(c.oid)) from pg_constraint c join pg_namespace n on n.oid = connamespace where ` + userSchema + ` order by 1`,
		"indexes":     `select pg_get_indexdef(indexrelid) from pg_index i join pg_class c on c.oid = indexrelid join pg_namespace n on n.oid = relnamespace where ` + userSchema + ` order by 1`,
		"views":       `select definition from pg_views where schemaname = 'sales' union all select definition || ispopulated from pg_matviews order by 1`,
		"functions":   `select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = pronamespace where prokind = 'f' and ` + userSchema + ` order by 1`,
		"triggers":    `select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal order by 1`,
		"policies":    `select format('%s %s %s %s', tablename, policyname, roles, qual) from pg_policies order by 1`,
		"enums":       `select enumlabel::text from pg_enum order by enumsortorder`,
		"extensions":  `select extname || extversion from pg_extension order by 1`,
		"large":       `select oid || encode(sha256(lo_get(oid)), 'hex') from pg_largeobject_metadata order by oid`,
		"database": `select format('%s %s %s %s %s', pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider, pg_get_userbyid(datdba))
			from pg_database where datname = current_database()`,
		"settings": `select setrole::regrole || unnest(setconfig) from pg_db_role_setting where setdatabase = (select oid from pg_database where datname = current_database()) order by 1`,
		"comment":  `select coalesce(split_part(shobj_description(oid, 'pg_database'), E'\n', 1), '') from pg_database where datname = current_database()`,
	} {
		found[what] = queryStrings(t, src, sql)
	}
	for _, table := range queryStrings(t, src, `select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind in ('r', 'p', 'm', 'v') and `+userSchema) {
		found["rows of "+table] = queryStrings(t, src, fmt.Sprintf("select coalesce(row(x.*)::text, 'NULL') from %s x order by 1", table))
	}
	for _, sequence := range queryStrings(t, src, `select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = relnamespace
		where relkind = 'S' and `+userSchema) {
		found["state of "+sequence] = queryStrings(t, src, "select last_value::text || is_called from "+sequence)
	}
	require.NotEmpty(t, found["columns"])
	return found
}

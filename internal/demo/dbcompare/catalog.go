package dbcompare

// ours holds for what the database's users made: not the system's schemas, and not the members of
// an extension, which come and go with it. It needs a namespace n, and the catalogue and the oid of
// the object for the look-up in pg_depend.
func ours(catalogue, oid string) string {
	return `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend e WHERE e.deptype = 'e' AND e.classid = 'pg_catalog.` + catalogue +
		`'::pg_catalog.regclass AND e.objid = ` + oid + `)`
}

// relationsSQL lists what holds rows of its own: tables, partitions and materialised views that were filled. A
// partitioned parent is left out, its rows are those of its partitions. The tables of an extension
// are in: an extension may ask for their rows to be dumped.
const relationsSQL = `
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relispopulated
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1`

const sequencesSQL = `
SELECT format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' ORDER BY 1`

// definitions are queries that give a name, unique in its kind, and a definition in words that do
// not depend on oids or on the order in which things were made.
var definitions = []struct{ kind, query string }{
	{"schema", `
SELECT quote_ident(n.nspname), coalesce(obj_description(n.oid, 'pg_namespace'), '')
FROM pg_catalog.pg_namespace n WHERE ` + ours("pg_namespace", "n.oid")},

	{"extension", `SELECT quote_ident(extname), extversion FROM pg_catalog.pg_extension`},

	{"column", `
SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod),
         CASE WHEN a.attnotnull THEN 'NOT NULL' END,
         CASE WHEN a.attidentity <> '' THEN 'IDENTITY ' || a.attidentity::text END,
         CASE WHEN a.attgenerated <> '' THEN 'GENERATED' END,
         'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid),
         'COLLATE ' || nullif(a.attcollation, t.typcollation)::regcollation::text,
         'COMMENT ' || quote_literal(col_description(c.oid, a.attnum)))
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND ` + ours("pg_class", "c.oid")},

	{"relation", `
SELECT format('%I.%I', n.nspname, c.relname),
       concat_ws(' ', c.relkind::text, c.relpersistence::text, array_to_string(c.reloptions, ','),
         'PARTITION BY ' || pg_get_partkeydef(c.oid),
         pg_get_expr(c.relpartbound, c.oid),
         (SELECT 'INHERITS ' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
            FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid),
         CASE WHEN c.relrowsecurity THEN 'ROW SECURITY' END,
         'COMMENT ' || quote_literal(obj_description(c.oid, 'pg_class')))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' AND ` + ours("pg_class", "c.oid")},

	{"view", `
SELECT format('%I.%I', n.nspname, c.relname), pg_get_viewdef(c.oid) || CASE WHEN c.relispopulated THEN '' ELSE ' WITH NO DATA' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND ` + ours("pg_class", "c.oid")},

	{"sequence", `
SELECT format('%I.%I', n.nspname, c.relname),
       format('%s from %s to %s start %s by %s cache %s cycle %s', format_type(s.seqtypid, NULL),
         s.seqmin, s.seqmax, s.seqstart, s.seqincrement, s.seqcache, s.seqcycle)
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND ` + ours("pg_class", "c.oid")},

	{"index", `
SELECT format('%I.%I', n.nspname, c.relname), pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND ` + ours("pg_class", "i.indrelid")},

	// A foreign key of a partitioned table has one row for each partition, some with names that the
	// server chose: the table and the definition are the name.
	{"constraint", `
SELECT DISTINCT concat_ws(' ', coalesce(nullif(k.conrelid, 0)::regclass::text, nullif(k.contypid, 0)::regtype::text),
         CASE WHEN k.conparentid = 0 THEN quote_ident(k.conname) END, pg_get_constraintdef(k.oid)),
       CASE WHEN k.convalidated THEN 'valid' ELSE 'not valid' END
FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace
WHERE k.contype <> 't' AND ` + ours("pg_constraint", "k.oid")},

	{"trigger", `
SELECT format('%s %I', g.tgrelid::regclass, g.tgname), pg_get_triggerdef(g.oid) || ' ' || g.tgenabled::text
FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND ` + ours("pg_class", "c.oid")},

	{"policy", `
SELECT format('%s %I', p.polrelid::regclass, p.polname),
       concat_ws(' ', p.polcmd::text, p.polpermissive::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
FROM pg_catalog.pg_policy p`},

	{"rule", `
SELECT format('%s %I', r.ev_class::regclass, r.rulename), pg_get_ruledef(r.oid)
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND ` + ours("pg_class", "c.oid")},

	{"function", `
SELECT p.oid::regprocedure::text,
       CASE WHEN p.prokind = 'a' THEN concat_ws(' ', 'aggregate', a.aggtransfn::regproc, a.aggtranstype::regtype, a.agginitval)
            ELSE pg_get_functiondef(p.oid) END
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
WHERE ` + ours("pg_proc", "p.oid")},

	// Types that belong to a table, and the array types the server makes, are left out: the table says it all.
	{"type", `
SELECT format('%I.%I', n.nspname, t.typname),
       concat_ws(' ', t.typtype::text,
         (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
            FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
         CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
         CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault)
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typelem = 0 AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
  AND (t.typrelid = 0 OR (SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid) = 'c')
  AND ` + ours("pg_type", "t.oid")},
}

"""The kinds of rows that a PostgreSQL schema is read as.

Enters: a server's version, and which kinds its database has.  Leaves: a Section for each kind;
`checks.postgresql_items` takes its rows apart by the places of their values.  No I/O.
"""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.checks.postgresql_queries import USERS, Section, comment, listed, named


def sections(version: int, present: Collection[str]) -> tuple[Section, ...]:
    """What a server of this major version is asked for. present: names of PRESENT."""
    commented = "comments" in present
    rare = (_COMMENTS, _PARENTS, _PARTITIONED, _FOREIGN, _RULES, _POLICIES)
    return (
        _COLUMNS,
        _indexes(version, commented),
        _constraints(version, commented),
        _sequences(commented),
        _VIEWS,
        _types(commented),
        _COMPOSITES,
        _functions(version, commented),
        *((_triggers(commented),) if "triggers" in present else ()),
        *(one for one in rare if one.name in present),
    )


_CLASS = "JOIN pg_catalog.pg_class c ON c.oid = r.oid"

# A default has no variables, so it needs no relation: giving one would have the backend open it,
# and keep it in its cache for ever.
_COLUMNS = Section(
    "columns",
    "relations",
    (
        "r.at::text",
        "a.attnum::text",
        "a.attname::text",
        "format_type(a.atttypid, a.atttypmod)",
        "a.attnotnull::text",
        "CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(d.adbin,"
        " CASE WHEN a.attgenerated = '' THEN 0 ELSE d.adrelid END)"
        " FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END",
        "a.attidentity::text",
        "a.attgenerated::text",
        # 100 is "default"; 19 is the type name, whose collation is another.
        "CASE WHEN a.attcollation = 0 OR (a.attcollation = 100 AND a.atttypid <> 19"
        f" AND a.atttypid < {USERS}) OR a.attcollation = (SELECT t.typcollation"
        " FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid) THEN NULL"
        f" ELSE {named('pg_collation', 'coll', 'a.attcollation')} END",
    ),
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped",
)


def _indexes(version: int, commented: bool) -> Section:
    keys = "unnest({}) WITH ORDINALITY AS k (oid, at)"
    classes = (
        "SELECT concat_ws(' ', o.opcdefault::int::text, format_type(o.opcintype, -1))"
        f" || '/' || {named('pg_opclass', 'opc', 'k.oid')} FROM {keys.format('i.indclass')}"
        " JOIN pg_catalog.pg_opclass o ON o.oid = k.oid ORDER BY k.at"
    )
    collations = (
        f"SELECT {named('pg_collation', 'coll', 'k.oid')}"
        f" FROM {keys.format('i.indcollation')} ORDER BY k.at"
    )
    expressions = (
        "SELECT pg_get_indexdef(i.indexrelid, k.at::int, false)"
        f" FROM {keys.format('i.indkey')} WHERE k.oid = 0 ORDER BY k.at"
    )
    options = (
        "SELECT a.attnum || ' ' || array_to_json(a.attoptions) FROM pg_catalog.pg_attribute a"
        " WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL ORDER BY a.attnum"
    )
    return Section(
        "indexes",
        "relations",
        (
            "r.at::text",
            "c.relname::text",
            "CASE c.relam WHEN 403 THEN 'btree' ELSE"
            " (SELECT m.amname::text FROM pg_catalog.pg_am m WHERE m.oid = c.relam) END",
            "concat_ws(' ', CASE WHEN i.indisunique THEN 'unique' END,"
            " CASE WHEN NOT i.indisvalid THEN 'invalid' END,"
            " CASE WHEN i.indpred IS NOT NULL THEN 'partial' END,"
            " CASE WHEN i.indisreplident THEN 'replident' END"
            + (", CASE WHEN i.indnullsnotdistinct THEN 'nnd' END)" if version >= 15 else ")"),
            "i.indnkeyatts::text",
            "i.indkey::text",
            "i.indoption::text",
            listed(classes),
            # 100 is "default", 0 none.
            "CASE WHEN i.indcollation::oid[] <@ '{0,100}' THEN NULL"
            f" ELSE {listed(collations)} END",
            f"CASE WHEN i.indexprs IS NOT NULL THEN {listed(expressions)} END",
            "CASE WHEN i.indpred IS NOT NULL THEN pg_get_expr(i.indpred, i.indrelid) END",
            f"CASE WHEN c.relam <> 403 THEN {listed(options)} END",
            "array_to_json(c.reloptions)::text",
            comment("c.oid", "pg_class", commented),
        ),
        "JOIN pg_catalog.pg_index i ON i.indrelid = r.oid"
        " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid",
    )


def _constraints(version: int, commented: bool) -> Section:
    names = (
        "SELECT a.attname::text FROM unnest({}) WITH ORDINALITY AS k (number, at)"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = {} AND a.attnum = k.number ORDER BY k.at"
    )
    enforced = "CASE WHEN NOT c.conenforced THEN 'unenforced' END" if version >= 18 else "NULL"
    period = "CASE WHEN c.conperiod THEN 'period' END" if version >= 18 else "NULL"
    # ALTER TABLE ... DISABLE TRIGGER ALL, as bulk loads do, leaves nobody who checks.
    silent = (
        "CASE WHEN (c.contype = 'f' OR c.condeferrable) AND EXISTS (SELECT"
        " FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = c.oid AND g.tgisinternal"
        " AND g.tgenabled IN ('D', 'R')) THEN 'silent' END"
    )
    only = "CASE WHEN c.contype = 'f' THEN {} END"
    return Section(
        "constraints",
        "relations",
        (
            "r.at::text",
            "c.conname::text",
            "c.contype::text",
            "array_to_json(c.conkey)::text",
            "concat_ws(' ', CASE WHEN c.condeferrable THEN 'deferrable' END,"
            " CASE WHEN c.condeferred THEN 'deferred' END,"
            " CASE WHEN NOT c.convalidated THEN 'invalid' END,"
            f" CASE WHEN c.connoinherit THEN 'noinherit' END, {enforced}, {period}, {silent})",
            "CASE WHEN c.contype = 'c' THEN pg_get_expr(c.conbin, c.conrelid)"
            " WHEN c.contype = 'x' THEN pg_get_constraintdef(c.oid) END",
            only.format("c.confrelid::regclass::text"),
            only.format(listed(names.format("c.confkey", "c.confrelid"))),
            only.format("concat(c.confupdtype, c.confdeltype, c.confmatchtype)"),
            only.format(listed(names.format("c.confdelsetcols", "c.conrelid")))
            if version >= 15
            else "NULL",
            comment("c.oid", "pg_constraint", commented),
        ),
        # Those that a foreign key has on partitions follow from it; PostgreSQL makes them itself.
        "JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid AND c.contype <> 't'"
        " AND (c.contype <> 'n' OR NOT c.convalidated)"
        " AND (c.contype <> 'f' OR c.conparentid = 0)",
    )


def _sequences(commented: bool) -> Section:
    return Section(
        "sequences",
        "sequences",
        (
            "c.relname::text",
            "c.relpersistence::text",
            "format_type(s.seqtypid, -1)",
            "s.seqstart::text",
            "s.seqincrement::text",
            "s.seqmin::text",
            "s.seqmax::text",
            "s.seqcache::text",
            "s.seqcycle::text",
            "o.relname::text",
            "a.attname::text",
            comment("c.oid", "pg_class", commented),
        ),
        "JOIN pg_catalog.pg_class c ON c.oid = r.oid"
        " JOIN pg_catalog.pg_sequence s ON s.seqrelid = r.oid"
        " LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass"
        " AND d.objid = r.oid AND d.objsubid = 0 AND d.refobjsubid > 0"
        " AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')"
        " LEFT JOIN pg_catalog.pg_class o ON o.oid = d.refobjid"
        " LEFT JOIN pg_catalog.pg_attribute a"
        " ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid",
    )


_VIEWS = Section("views", "views", ("c.relname::text", "pg_get_viewdef(c.oid)"), _CLASS)


def _types(commented: bool) -> Section:
    labels = (
        "SELECT e.enumlabel::text FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid"
        " ORDER BY e.enumsortorder"
    )
    checks = (
        "SELECT c.conname || ' ' || pg_get_constraintdef(c.oid) FROM pg_catalog.pg_constraint c"
        " WHERE c.contypid = t.oid AND c.contype = 'c' ORDER BY c.conname"
    )
    collation = named("pg_collation", "coll", "g.rngcollation")
    bounds = (
        "(SELECT concat_ws(' ', format_type(g.rngsubtype, -1),"
        f" CASE WHEN g.rngcollation NOT IN (0, 100) THEN {collation} END,"
        " nullif(g.rngcanonical, 0)::regproc::text, nullif(g.rngsubdiff, 0)::regproc::text)"
        " FROM pg_catalog.pg_range g WHERE g.rngtypid = t.oid)"
    )
    return Section(
        "types",
        "types",
        (
            "t.typname::text",
            "t.typtype::text",
            f"CASE t.typtype WHEN 'e' THEN {listed(labels)} WHEN 'd' THEN {listed(checks)}"
            f" WHEN 'r' THEN {bounds} END",
            "CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END",
            "t.typnotnull::text",
            "pg_get_expr(t.typdefaultbin, 0)",
            "CASE WHEN t.typtype <> 'd' OR t.typcollation = (SELECT p.typcollation"
            " FROM pg_catalog.pg_type p WHERE p.oid = t.typbasetype) THEN NULL"
            f" ELSE {named('pg_collation', 'coll', 't.typcollation')} END",
            comment("t.oid", "pg_type", commented),
        ),
        "JOIN pg_catalog.pg_type t ON t.oid = r.oid",
    )


_COMPOSITES = Section(
    "composites",
    "composites",
    (
        "c.relname::text",
        listed(
            "SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)"
            " FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum > 0"
            " AND NOT a.attisdropped ORDER BY a.attnum"
        ),
    ),
    _CLASS,
)


def _functions(version: int, commented: bool) -> Section:
    body = "coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)" if version >= 14 else "p.prosrc"
    aggregate = (
        "(SELECT concat_ws(' ', g.aggkind, g.aggtransfn::regprocedure,"
        " format_type(g.aggtranstype, -1), g.aggfinalfn::regproc, g.aggcombinefn::regproc,"
        " g.aggmtransfn::regproc, g.aggsortop::regoperator, g.agginitval)"
        " FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid)"
    )
    return Section(
        "functions",
        "functions",
        (
            "p.proname::text",
            "pg_get_function_identity_arguments(p.oid)",
            "p.prokind::text",
            "pg_get_function_arguments(p.oid)",
            "pg_get_function_result(p.oid)",
            "(SELECT l.lanname::text FROM pg_catalog.pg_language l WHERE l.oid = p.prolang)",
            f"CASE WHEN p.prokind = 'a' THEN {aggregate} ELSE {body} END",
            "p.probin",
            "concat_ws(' ', p.provolatile, p.proparallel, p.procost, p.prorows,"
            " CASE WHEN p.proisstrict THEN 'strict' END,"
            " CASE WHEN p.prosecdef THEN 'definer' END,"
            " CASE WHEN p.proleakproof THEN 'leakproof' END)",
            "array_to_json(p.proconfig)::text",
            comment("p.oid", "pg_proc", commented),
        ),
        "JOIN pg_catalog.pg_proc p ON p.oid = r.oid",
    )


def _triggers(commented: bool) -> Section:
    return Section(
        "triggers",
        "relations",
        (
            "r.at::text",
            "t.tgname::text",
            "pg_get_triggerdef(t.oid, true)",
            "t.tgenabled::text",
            comment("t.oid", "pg_trigger", commented),
        ),
        "JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal",
    )


_COMMENTS = Section(
    "comments",
    "relations",
    ("r.at::text", "d.objsubid::text", "d.description"),
    "JOIN pg_catalog.pg_description d ON d.objoid = r.oid"
    " AND d.classoid = 'pg_catalog.pg_class'::regclass",
)
_PARENTS = Section(
    "parents",
    "relations",
    (
        "r.at::text",
        "i.inhparent::regclass::text",
        "pg_get_expr(c.relpartbound, c.oid)",
    ),
    "JOIN pg_catalog.pg_inherits i ON i.inhrelid = r.oid"
    " JOIN pg_catalog.pg_class c ON c.oid = r.oid",
)
_PARTITIONED = Section(
    "partitioned",
    "relations",
    ("r.at::text", "pg_get_partkeydef(r.oid)"),
    "JOIN pg_catalog.pg_partitioned_table t ON t.partrelid = r.oid",
)
_FOREIGN = Section(
    "foreign",
    "relations",
    ("r.at::text", "s.srvname::text", "array_to_json(t.ftoptions)::text"),
    "JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = r.oid"
    " JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver",
)
_RULES = Section(
    "rules",
    "relations",
    ("r.at::text", "w.rulename::text", "pg_get_ruledef(w.oid, true)", "w.ev_enabled::text"),
    "JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'",
)
_POLICIES = Section(
    "policies",
    "relations",
    (
        "r.at::text",
        "p.polname::text",
        "p.polcmd::text",
        "p.polpermissive::text",
        listed(
            "SELECT CASE WHEN k = 0 THEN 'public' ELSE pg_get_userbyid(k)::text END"
            " FROM unnest(p.polroles) AS k ORDER BY 1"
        ),
        "pg_get_expr(p.polqual, p.polrelid)",
        "pg_get_expr(p.polwithcheck, p.polrelid)",
    ),
    "JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid",
)

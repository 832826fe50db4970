"""The questions to PostgreSQL's catalogue that a shape is made of.

Enters: nothing.  Leaves: CONTENTS (which objects stand in some schemas), PRESENT (which kinds of
objects the database has at all), and sections: one query for each kind, over many schemas at a
time.  No I/O.

Sources: the PostgreSQL manual, chapters "System Catalogs" and "System Information Functions and
Operators"; src/backend/utils/adt/ruleutils.c for which of the pg_get_* functions print names as
the search_path has it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

# Members of an extension belong to it, not to the schema that they stand in.
_MEMBER = (
    "{0}.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"
    " AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.classid = '{1}'::regclass)"
)

CONTENTS = f"""
WITH spaces AS MATERIALIZED (
  SELECT b.place, n.oid, has_schema_privilege(n.oid, 'USAGE') AS usable
  FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS b (name, place)
  JOIN pg_catalog.pg_namespace n ON n.nspname = b.name)
SELECT s.place, s.usable, c.told, c.relations, c.views, c.sequences, c.composites, t.types,
       f.functions
FROM spaces s
LEFT JOIN (
  SELECT c.relnamespace,
    array_to_json(array_agg(ARRAY[c.relname::text, c.relkind::text, c.relpersistence::text,
        array_to_json(c.reloptions)::text, c.relrowsecurity::text, c.relforcerowsecurity::text,
        c.relreplident::text]
      ORDER BY c.relname) FILTER (WHERE c.relkind NOT IN ('S', 'c')))::text AS told,
    array_agg(c.oid ORDER BY c.relname) FILTER (WHERE c.relkind NOT IN ('S', 'c'))::text
      AS relations,
    array_agg(c.oid ORDER BY c.relname) FILTER (WHERE c.relkind IN ('v', 'm'))::text AS views,
    array_agg(c.oid ORDER BY c.relname) FILTER (WHERE c.relkind = 'S')::text AS sequences,
    array_agg(c.oid ORDER BY c.relname) FILTER (WHERE c.relkind = 'c')::text AS composites
  FROM pg_catalog.pg_class c
  WHERE c.relnamespace IN (SELECT oid FROM spaces)
    AND c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S', 'c')
    AND NOT {_MEMBER.format("c", "pg_catalog.pg_class")}
  GROUP BY c.relnamespace) c ON c.relnamespace = s.oid
LEFT JOIN (
  SELECT t.typnamespace, array_agg(t.oid ORDER BY t.typname)::text AS types
  FROM pg_catalog.pg_type t
  WHERE t.typnamespace IN (SELECT oid FROM spaces) AND t.typtype IN ('e', 'd', 'r')
    AND NOT {_MEMBER.format("t", "pg_catalog.pg_type")}
  GROUP BY t.typnamespace) t ON t.typnamespace = s.oid
LEFT JOIN (
  SELECT p.pronamespace, array_agg(p.oid ORDER BY p.proname, p.proargtypes)::text AS functions
  FROM pg_catalog.pg_proc p
  WHERE p.pronamespace IN (SELECT oid FROM spaces)
    AND NOT {_MEMBER.format("p", "pg_catalog.pg_proc")}
    -- PostgreSQL makes the constructors of a range type itself.
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
  GROUP BY p.pronamespace) f ON f.pronamespace = s.oid
"""
"""Of each schema in :names that is there: whether it may be used, its relations as rows, and the
object ids of what stands in it, each as the text of an array, sorted by name."""

# Objects of users have ids from here on (FirstNormalObjectId in access/transam.h).
_USERS = 16384

PRESENT = {
    "comments": f"SELECT FROM pg_catalog.pg_description WHERE objoid >= {_USERS}",
    "parents": "SELECT FROM pg_catalog.pg_inherits",
    "partitioned": "SELECT FROM pg_catalog.pg_partitioned_table",
    "foreign": "SELECT FROM pg_catalog.pg_foreign_table",
    "triggers": "SELECT FROM pg_catalog.pg_trigger WHERE NOT tgisinternal",
    "rules": f"SELECT FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN' AND oid >= {_USERS}",
    "policies": "SELECT FROM pg_catalog.pg_policy",
}
"""Kinds that most databases have nothing of: those sections are asked for only where one has."""


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of rows.

    over: the list of CONTENTS that they are found by. values: expressions of type text. source:
    what `r` is joined to, where r.oid is an object's id and r.at its place in the list.
    """

    name: str
    over: str
    values: tuple[str, ...]
    source: str

    @property
    def statement(self) -> str:
        """Of each place: its rows as JSON, and the schema that was the current one at their end.

        The pg_get_* functions leave out the names of schemas that the search_path finds things in.
        So each schema's rows are read with it alone before pg_catalog: its own objects hide those
        of pg_catalog then, never the other way round. The rows depend on what set_config gave, in a
        lateral join, so that they are read after it and before the next.
        """
        return (
            "SELECT batch.place, whole.here, whole.told"
            " FROM unnest(CAST(:places AS int[]), CAST(:paths AS text[]), CAST(:oids AS text[]))"
            " AS batch (place, path, oids)"
            " CROSS JOIN LATERAL"
            " (SELECT set_config('search_path', batch.path, true) AS path OFFSET 0) AS entered"
            " CROSS JOIN LATERAL (SELECT current_schema() AS here,"
            f" array_to_json(array_agg(ARRAY[{', '.join(self.values)}]))::text AS told"
            " FROM unnest(CAST(batch.oids AS oid[])) WITH ORDINALITY AS r (oid, at)"
            f" {self.source} WHERE entered.path IS NOT NULL) AS whole"
        )


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


def _comment(oid: str, catalogue: str, commented: bool) -> str:
    if not commented:
        return "NULL"
    return (
        f"(SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = {oid}"
        f" AND d.classoid = 'pg_catalog.{catalogue}'::regclass AND d.objsubid = 0)"
    )


def _named(catalogue: str, prefix: str, oid: str) -> str:
    """The name of a collation or an operator class, with its schema where that is neither
    pg_catalog nor the one that is being read."""
    return (
        "(SELECT CASE WHEN n.nspname IN ('pg_catalog', current_schema()) THEN ''"
        f" ELSE quote_ident(n.nspname) || '.' END || quote_ident(o.{prefix}name)"
        f" FROM pg_catalog.{catalogue} o"
        f" JOIN pg_catalog.pg_namespace n ON n.oid = o.{prefix}namespace WHERE o.oid = {oid})"
    )


def _list(select: str) -> str:
    return f"array_to_json(ARRAY({select}))::text"


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
        f" AND a.atttypid < {_USERS}) OR a.attcollation = (SELECT t.typcollation"
        " FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid) THEN NULL"
        f" ELSE {_named('pg_collation', 'coll', 'a.attcollation')} END",
    ),
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped",
)


def _indexes(version: int, commented: bool) -> Section:
    keys = "unnest({}) WITH ORDINALITY AS k (oid, at)"
    classes = (
        "SELECT concat_ws(' ', o.opcdefault::int::text, format_type(o.opcintype, -1))"
        f" || '/' || {_named('pg_opclass', 'opc', 'k.oid')} FROM {keys.format('i.indclass')}"
        " JOIN pg_catalog.pg_opclass o ON o.oid = k.oid ORDER BY k.at"
    )
    collations = (
        f"SELECT {_named('pg_collation', 'coll', 'k.oid')}"
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
            " CASE WHEN i.indisreplident THEN 'replident' END"
            + (", CASE WHEN i.indnullsnotdistinct THEN 'nnd' END)" if version >= 15 else ")"),
            "i.indnkeyatts::text",
            "i.indkey::text",
            "i.indoption::text",
            _list(classes),
            # 100 is "default", 0 none.
            "CASE WHEN i.indcollation::oid[] <@ '{0,100}' THEN NULL"
            f" ELSE {_list(collations)} END",
            f"CASE WHEN i.indexprs IS NOT NULL THEN {_list(expressions)} END",
            "CASE WHEN i.indpred IS NOT NULL THEN pg_get_expr(i.indpred, i.indrelid) END",
            f"CASE WHEN c.relam <> 403 THEN {_list(options)} END",
            "array_to_json(c.reloptions)::text",
            _comment("c.oid", "pg_class", commented),
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
            f" CASE WHEN c.connoinherit THEN 'noinherit' END, {enforced}, {period})",
            "CASE WHEN c.contype = 'c' THEN pg_get_expr(c.conbin, c.conrelid)"
            " WHEN c.contype = 'x' THEN pg_get_constraintdef(c.oid) END",
            only.format("c.confrelid::regclass::text"),
            only.format(_list(names.format("c.confkey", "c.confrelid"))),
            only.format("concat(c.confupdtype, c.confdeltype, c.confmatchtype)"),
            only.format(_list(names.format("c.confdelsetcols", "c.conrelid")))
            if version >= 15
            else "NULL",
            _comment("c.oid", "pg_constraint", commented),
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
            _comment("c.oid", "pg_class", commented),
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
    collation = _named("pg_collation", "coll", "g.rngcollation")
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
            f"CASE t.typtype WHEN 'e' THEN {_list(labels)} WHEN 'd' THEN {_list(checks)}"
            f" WHEN 'r' THEN {bounds} END",
            "CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END",
            "t.typnotnull::text",
            "pg_get_expr(t.typdefaultbin, 0)",
            "CASE WHEN t.typtype <> 'd' OR t.typcollation = (SELECT p.typcollation"
            " FROM pg_catalog.pg_type p WHERE p.oid = t.typbasetype) THEN NULL"
            f" ELSE {_named('pg_collation', 'coll', 't.typcollation')} END",
            _comment("t.oid", "pg_type", commented),
        ),
        "JOIN pg_catalog.pg_type t ON t.oid = r.oid",
    )


_COMPOSITES = Section(
    "composites",
    "composites",
    (
        "c.relname::text",
        _list(
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
            _comment("p.oid", "pg_proc", commented),
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
            _comment("t.oid", "pg_trigger", commented),
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
        _list(
            "SELECT CASE WHEN k = 0 THEN 'public' ELSE pg_get_userbyid(k)::text END"
            " FROM unnest(p.polroles) AS k ORDER BY 1"
        ),
        "pg_get_expr(p.polqual, p.polrelid)",
        "pg_get_expr(p.polwithcheck, p.polrelid)",
    ),
    "JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid",
)

"""The questions to PostgreSQL's catalogue that a shape is made of.

Enters: nothing.  Leaves: CONTENTS (which objects stand in some schemas), PRESENT (which kinds of
objects the database has at all), Section (one query for each kind, over many schemas at a time;
`checks.postgresql_sections` has them all) and what they are written with.  No I/O.

Sources: the PostgreSQL manual, chapters "System Catalogs" and "System Information Functions and
Operators"; src/backend/utils/adt/ruleutils.c for which of the pg_get_* functions print names as
the search_path has it.
"""

from __future__ import annotations

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
SELECT s.place, s.usable, s.oid IN (SELECT o.oprnamespace FROM pg_catalog.pg_operator o)
         AS operators,
       c.told, c.relations, c.views, c.sequences, c.composites, t.types,
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
"""Of each schema in :names that is there: whether it may be used, whether it has operators, its
relations as rows, and the object ids of what stands in it, each as the text of an array, sorted by
name."""

# Objects of users have ids from here on (FirstNormalObjectId in access/transam.h).
USERS = 16384

PRESENT = {
    "comments": f"SELECT FROM pg_catalog.pg_description WHERE objoid >= {USERS}",
    "parents": "SELECT FROM pg_catalog.pg_inherits",
    "partitioned": "SELECT FROM pg_catalog.pg_partitioned_table",
    "foreign": "SELECT FROM pg_catalog.pg_foreign_table",
    "triggers": "SELECT FROM pg_catalog.pg_trigger WHERE NOT tgisinternal",
    "rules": f"SELECT FROM pg_catalog.pg_rewrite WHERE rulename <> '_RETURN' AND oid >= {USERS}",
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


def comment(oid: str, catalogue: str, commented: bool) -> str:
    """The comment on an object, in a database that has any."""
    if not commented:
        return "NULL"
    return (
        f"(SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = {oid}"
        f" AND d.classoid = 'pg_catalog.{catalogue}'::regclass AND d.objsubid = 0)"
    )


def named(catalogue: str, prefix: str, oid: str) -> str:
    """The name of a collation or an operator class, with its schema where that is neither
    pg_catalog nor the one that is being read."""
    return (
        "(SELECT CASE WHEN n.nspname IN ('pg_catalog', current_schema()) THEN ''"
        f" ELSE quote_ident(n.nspname) || '.' END || quote_ident(o.{prefix}name)"
        f" FROM pg_catalog.{catalogue} o"
        f" JOIN pg_catalog.pg_namespace n ON n.oid = o.{prefix}namespace WHERE o.oid = {oid})"
    )


def listed(select: str) -> str:
    """The rows of a query as a JSON array."""
    return f"array_to_json(ARRAY({select}))::text"

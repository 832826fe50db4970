"""`check`: what one cause makes wrong in many targets is told once."""

from __future__ import annotations

from pathlib import Path

from tests.cli.small import small_project

TENANTS = [f"c{number}" for number in range(61)]


def test_one_cause_is_told_once(tmp_path: Path) -> None:
    """Nothing listens at these ports."""
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            tenancy: schema
            servers:
              eu1: {{url: "postgresql://app@127.0.0.1:1/shop"}}
              us1: {{url: "postgresql://app@127.0.0.1:2/shop"}}
            tenants:
              list: [{", ".join(f"{{tenant: {name}, server: eu1}}" for name in TENANTS)},
                {{tenant: alone, server: us1}}]
        """,
    )
    project.revision("shop", "s1", 'op.execute("CREATE TABLE items (id int)")')
    said = project.run("check")
    assert said.code == 1, said.all
    assert "connections: 2 problems\n" in said.err
    lines = [line for line in said.err.splitlines() if line.startswith("error: target")]
    (many,) = [line for line in lines if "error: target shop/c0@eu1 and 60 more: unreach" in line]
    (alone,) = [line for line in lines if "error: target shop/alone@us1: unreachable" in line]
    assert lines == [many, alone]
    found = [one["where"] for one in project.run("check", "--json").json()]
    every = {f"target shop/{name}@eu1" for name in TENANTS} | {"target shop/alone@us1"}
    assert every <= set(found)

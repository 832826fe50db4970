"""Whatever stands in databases.yaml: a Config or a ConfigError, and no password in any message."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.config.load import load_config
from orchestrator.config.model import BindSection, FileSection, TenantsSection, WaveSection
from orchestrator.errors import ConfigError

SECRET = "hunter2"
URLS = [
    f"postgresql://app:{SECRET}@localhost/main",
    f"mysql+aiomysql://app:{SECRET}@localhost/main?ssl={SECRET}",
    f"postgresql+asyncpg://app:{SECRET}@localhost:{SECRET}/main",
    f"sqlite://{SECRET}@x",
    f"postgresql://app:a@{SECRET}@localhost/main",
]
SECTIONS = (FileSection, BindSection, TenantsSection, WaveSection)
KEYS = sorted(
    {field.alias or name for section in SECTIONS for name, field in section.model_fields.items()}
)
WORDS = ["main", "shop", "schema", "database", "t_{tenant}", "mysql-8.4", "60s", "", "${X}", "${U}"]

words = st.sampled_from([*WORDS, *URLS])
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), words, st.dates())
keys = st.sampled_from([*KEYS, "main", "shop", "eu1", "postgresql", URLS[0]])
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)),
    max_leaves=20,
)
binds = st.dictionaries(
    st.sampled_from(["main", "shop", "a b", URLS[0]]),
    st.dictionaries(st.sampled_from(sorted(BindSection.model_fields)), trees, max_size=8),
    max_size=3,
)
files = st.one_of(
    trees,
    st.fixed_dictionaries(
        {"binds": binds},
        optional={key: trees for key in FileSection.model_fields if key != "binds"},
    ),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project") / "databases.yaml"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=files)
def test_any_mapping(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        config = load_config(path, environ={"U": URLS[0]})
    except ConfigError as error:
        told = str(error)
    else:
        told = "".join(str(one.problem) for one in config.deferred)
    assert SECRET not in told


@settings(deadline=None)
@given(text=st.text(alphabet="abc:-[]{}&*!|>'\"%@#,?$ \n\t"))
def test_any_text(path: Path, text: str) -> None:
    path.write_text(f"binds:\n  main: {{url: x}}\n{text}", encoding="utf-8")
    with pytest.raises(ConfigError):
        load_config(path, environ={})

"""Files: which databases.yaml is found, what cannot be read, and URLs in files of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.load import find_config, load_config
from orchestrator.errors import ConfigError
from tests.config.conftest import Load


class TestUrlFile:
    TEXT = "binds: {main: {url_file: secrets/main, apps: [users]}}"

    def test_is_read(self, load: Load, tmp_path: Path) -> None:
        secret = tmp_path / "secrets" / "main"
        secret.parent.mkdir()
        secret.write_text("\ufeffpostgresql://app:${x}%40@localhost/main\n\n", encoding="utf-8")
        url = load(self.TEXT).binds["main"].servers["default"].url
        assert url is not None
        assert url.password == "${x}@"

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (None, "the file 'secrets/main' cannot be read: No such file or directory"),
            (b"", "the file 'secrets/main' is empty"),
            (b" \n", "the file 'secrets/main' is empty"),
            (b"\xff\xfe\xfd", "the file 'secrets/main' cannot be read: it is no UTF-8 text"),
        ],
    )
    def test_is_deferred_when_it_cannot_be_read(
        self, load: Load, tmp_path: Path, content: bytes | None, what: str
    ) -> None:
        (tmp_path / "secrets").mkdir()
        if content is not None:
            (tmp_path / "secrets" / "main").write_bytes(content)
        config = load(self.TEXT)
        config.require(offline=["main"])
        with pytest.raises(ConfigError) as caught:
            config.require(["main"])
        (problem,) = caught.value.problems
        assert problem.what == what
        assert problem.key == "binds.main.url_file"
        assert problem.where.endswith("databases.yaml:1")

    def test_with_a_bad_url_is_refused_without_its_content(
        self, load: Load, tmp_path: Path
    ) -> None:
        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "main").write_text("hunter2")
        with pytest.raises(ConfigError) as caught:
            load(self.TEXT)
        assert caught.value.problems[0].what == (
            "in the file 'secrets/main': this is no database URL"
        )
        assert "hunter2" not in str(caught.value)

    def test_that_is_a_url_is_not_shown(self, load: Load) -> None:
        config = load("binds: {main: {url_file: 'postgresql://app:hunter2@localhost/main'}}")
        assert len(config.deferred) == 1
        assert "hunter2" not in str(config.deferred[0].problem)


class TestFile:
    def test_that_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "databases.yaml"
        with pytest.raises(ConfigError) as caught:
            load_config(path, environ={})
        assert str(caught.value) == (
            f"{path}: there is no such file\n"
            "    Run `orchestrator init` to lay out a project, or name the file with -c."
        )

    def test_that_is_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="it cannot be read: Is a directory"):
            load_config(tmp_path, environ={})

    def test_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "databases.yaml"
        path.write_bytes(b"binds: \xff")
        with pytest.raises(ConfigError, match=r"it is no UTF-8 text \(byte 8\)\n    Save it as"):
            load_config(path, environ={})

    def test_with_a_character_that_yaml_forbids(self, tmp_path: Path) -> None:
        path = tmp_path / "databases.yaml"
        path.write_bytes(b"binds:\n  main: \x00")
        with pytest.raises(ConfigError, match=r"yaml:2: not valid YAML: the character U\+0000"):
            load_config(path, environ={})

    def test_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "databases.yaml"
        path.write_text("\ufeffbinds: {main: {url: postgresql://app@localhost/main}}", "utf-8")
        assert list(load_config(path, environ={}).binds) == ["main"]

    def test_takes_variables_of_the_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "databases.yaml"
        path.write_text("binds: {main: {url: '${A_URL_OF_THIS_TEST}'}}")
        monkeypatch.setenv("A_URL_OF_THIS_TEST", "postgresql://app@localhost/main")
        assert load_config(path).deferred == ()


def test_a_file_that_never_ends() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Path("/dev/zero"), environ={})
    assert caught.value.problems[0].what == "it is larger than 8 MiB"


class TestFindConfig:
    def test_here_and_above(self, tmp_path: Path) -> None:
        (tmp_path / "databases.yaml").touch()
        below = tmp_path / "apps" / "users"
        below.mkdir(parents=True)
        assert find_config(tmp_path) == tmp_path / "databases.yaml"
        assert find_config(below) == tmp_path / "databases.yaml"

    def test_nearest_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        below = tmp_path / "below"
        below.mkdir()
        (tmp_path / "databases.yaml").touch()
        (below / "databases.yaml").touch()
        monkeypatch.chdir(below)
        assert find_config(Path()) == below / "databases.yaml"

    def test_nowhere(self) -> None:
        folder = Path("/no-such-folder-of-this-test/below")
        with pytest.raises(ConfigError) as caught:
            find_config(folder)
        assert caught.value.exit_code == 2
        assert str(caught.value) == (
            f"there is no databases.yaml in {folder} or above it\n"
            "    Run `orchestrator init` to lay out a project, or name the file with -c."
        )

"""Python files are read by their own encoding."""

from __future__ import annotations

import codecs

from orchestrator.revisions.python_text import python_text


def test_a_file_is_read_as_python_reads_it() -> None:
    text = "# caf\u00e9\n"
    declared = "# -*- coding: latin-1 -*-\n"
    assert python_text(text.encode()) == text
    assert python_text(codecs.BOM_UTF8 + text.encode()) == text
    assert python_text((declared + text).encode("latin-1")) == declared + text
    assert python_text(b"x = 1\r\n") == "x = 1\n"


def test_what_python_would_refuse_is_read_as_far_as_it_can_be() -> None:
    assert python_text(b"# caf\xe9\n") == "# caf\ufffd\n"
    assert python_text(b"# coding: nowhere\n") == "# coding: nowhere\n"
    assert python_text(b"\xff\xfe") == "\ufffd\ufffd"

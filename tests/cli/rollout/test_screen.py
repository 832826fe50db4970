"""The screen of a rollout fits 80 columns, whatever it has to tell."""

from __future__ import annotations

import io
import re
from dataclasses import replace

from rich.console import Console

from orchestrator.cli.rollout.picture import Picture
from orchestrator.cli.rollout.screen import screen
from orchestrator.ledger.rollout_types import WaveCount
from tests.cli.rollout.made import COUNTS, NAME, WAVES, failed, picture, view


def drawn(of: Picture, *, live: bool = False) -> list[str]:
    """The lines of the screen as a terminal of 80 columns shows it, without its colours."""
    console = Console(width=80, file=io.StringIO(), force_terminal=True, record=True)
    console.print(screen(of, live=live))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    return [line.rstrip() for line in lines]


def test_waves_are_bars_with_counts_pace_and_failures() -> None:
    lines = drawn(picture(None, *failed(2, "no such table"), rate=41.3), live=True)
    assert lines[0] == f"rollout {NAME}  running, wave 2 of 3"
    told = [line.replace("╸", "━").replace("╺", "━").split("━") for line in lines[4:8]]
    assert [(one[0].strip(), " ".join(one[-1].split())) for one in told] == [
        ("canary", "20/20 done"),
        ("tenth", "98/198 2 failed 41/s, 2 s left"),
        ("rest", "0/1,782 waiting"),
        ("all", "118/2,000 2 failed about 46 s left"),
    ]
    assert "2 no such table" in lines
    assert "  revision 4f2a: shop/t0000@eu1, shop/t0001@eu1" in lines
    assert not any("orchestrator rollout" in line for line in lines)


def test_bars_keep_their_width_while_it_runs() -> None:
    widths = {
        sum(line.count(part) for part in "━╸╺")
        for rate in (0.0, 0.4, 41.3)
        for line in drawn(picture(rate=rate), live=True)[4:8]
    }
    assert len(widths) == 1


def test_a_stopped_one_tells_why_and_what_to_do() -> None:
    stopped = view("stopped", reason="wave tenth: 14 of 198 targets failed")
    lines = drawn(picture(stopped, *failed(12, "a" * 200), *failed(1, "b\nDETAIL: c")))
    text = "\n".join(lines)
    assert "\nwave tenth: 14 of 198 targets failed\n" in text
    assert f"\n    orchestrator rollout resume {NAME}\n" in text
    assert f"\n    orchestrator rollout abort {NAME}" in text
    assert re.search("^12 a+\n +a+…$", text, re.MULTILINE)
    assert " 1 b\n" in text
    assert "DETAIL" not in text


def test_long_names_and_many_causes_are_cut() -> None:
    waves = tuple(replace(wave, name="a wave with a very long name") for wave in WAVES)
    rows = [one for number in range(8) for one in failed(1, f"cause {number}", "")]
    running = tuple(f"shop/tenant-{number}@server" for number in range(9))
    of = picture(view(waves=waves, who="x" * 300), *rows, running=running)
    lines = drawn(of, live=True)
    assert sum(line.lstrip().startswith("1 cause") for line in lines) == 5
    assert "and 3 targets for 3 other causes" in lines


def test_a_wave_without_targets_is_no_division_by_zero() -> None:
    counts = (WaveCount(0), *COUNTS[1:])
    assert "0/0" in drawn(picture(view(counts=counts)))[4]


def test_no_password_is_drawn() -> None:
    rows = failed(1, "cannot connect to postgresql://app:hunter22@db/shop")
    assert "hunter22" not in "\n".join(drawn(picture(None, *rows)))

"""Records of benchmarks, and what the documentation says of them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks.parts import pages, record, truth_page
from benchmarks.parts.record import Measured, Number, Record, in_unit, of
from tests.parts.documents import ROOT

DOCS = ROOT / "docs"


def measured(**options: object) -> Record:
    numbers = {**in_unit("s", taken=[1.5, 2.0]), **of("a", in_unit("rows", kept=1_200))}
    return record.made("capture", options, Measured(numbers, {"why": "so"}), record.start())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = measured(tokens=5)
    path = record.write(made, tmp_path)
    assert path.parent == tmp_path / "capture"
    assert list(record.read(tmp_path)) == [made]
    assert made.numbers["a: kept"] == Number(1_200, "rows")
    assert made.machine.cores > 0
    assert len(made.commit) == 40


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (Path("/home/me/lake"), "lake"),
        ("/home/me/lake", "lake"),
        ("s3://bucket/lake", "lake"),
        ([("1.5.5", "/home/me/duckdb")], [["1.5.5", "duckdb"]]),
        ("openai/same", "openai/same"),
        (None, None),
    ],
)
def test_no_place_is_kept(given: object, kept: object) -> None:
    assert measured(lake=given).options == {"lake": kept}


def test_there_may_be_neither_a_checkout_nor_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make graph` needs no more than a Python."""
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delattr(os, "sched_getaffinity")
    made = measured()
    assert (made.commit, made.changed) == ("", False)
    assert made.machine.cores > 0


def test_a_name_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["captures"]) == 2
    assert "there is no benchmark 'captures'; there are: bad_input, " in capsys.readouterr().err


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main([]) == 0
    listed = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(runner.benchmarks())


def test_of_runs_with_the_same_options_the_last_is_quoted() -> None:
    first, other = measured(tokens=5), measured(tokens=6)
    last = replace(first, date="2999-01-01T00:00:00Z")
    assert pages.latest([first, other, last]) == [other, last]


def test_records_are_of_benchmarks_that_there_are() -> None:
    kept = list(record.read())
    assert {one.benchmark for one in kept} <= set(runner.benchmarks())
    assert not [one.benchmark for one in kept if one.wrong]


def test_the_pages_say_what_was_recorded() -> None:
    kept, way = list(record.read()), "run: python -m benchmarks.parts.pages"
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == pages.benchmarks_page(kept), way
    page = (DOCS / "scorers.md").read_text(encoding="utf-8")
    assert page == pages.with_coverage(page, kept), way
    truth = (DOCS / "truth.md").read_text(encoding="utf-8")
    assert truth == truth_page.with_tables(truth, kept), way
    assert (DOCS / "truth.svg").read_text(encoding="utf-8") == truth_page.plot(kept), way

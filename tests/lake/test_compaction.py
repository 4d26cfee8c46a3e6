"""Merging the files of a growing table: no row is lost or shown twice, whenever it is killed."""

import itertools
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from delphi_assets import connect
from delphi_assets.lake import compaction, database
from delphi_assets.lake.compaction import compact
from delphi_assets.lake.growing_tables import RowWriter
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.locks import alone
from delphi_assets.lake.schema import COMPLETIONS
from delphi_assets.lake.storage import Storage
from delphi_assets.llm.asking import loop
from delphi_assets.llm.asking.client import Client
from delphi_assets.llm.calls.completions import CompletionLog, failed
from tests.parts import hand_built
from tests.parts.asking import MODEL, ask, complete, made, settings_of, stored
from tests.parts.fault_server import FaultServer, Reply
from tests.parts.tiny_project import ROOT

pytestmark = pytest.mark.slow

RUN = {"run": "run"}


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SETTLING", 0.0)


def append(lake: Lake, number: int, error: str | None = None) -> None:
    """A file with the outcome of one question."""
    row = asdict(failed(ask(str(number)), "timeout", "late", 0.0, 1))
    row |= {"error": error, "answer": None if error else str(number)}
    lake.append(COMPLETIONS, RUN, COMPLETIONS.from_rows([row]))


def files(lake: Lake) -> list[Path]:
    return sorted(Path(lake.root, "completions", "run=run").glob("*.parquet"))


def answers(lake: Lake) -> list[int]:
    """What the view shows, in order."""
    found = connect(lake).sql("select answer::int as n from completions order by n")
    return [row[0] for row in found.fetchall()]


def merge(lake: Lake) -> int:
    """Four files are many."""
    return compact(lake, COMPLETIONS, RUN, many=4)


def test_few_files_stay_and_many_become_one(tmp_path: Path) -> None:
    lake = made(tmp_path)
    assert merge(lake) == 0
    for number in range(3):
        append(lake, number)
    assert merge(lake) == 0
    append(lake, 3)
    assert merge(lake) == 4
    [merged] = files(lake)
    assert pq.read_metadata(merged).num_rows == 4
    assert answers(lake) == [0, 1, 2, 3]
    assert not lake.manifests("completions", **RUN)


def test_large_files_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of one row are small, those of four are not."""
    lake = made(tmp_path)
    append(lake, 0)
    monkeypatch.setattr(compaction, "SMALL", files(lake)[0].stat().st_size + 80)
    for number in range(1, 17):
        append(lake, number)
        merge(lake)
    counts = sorted(pq.read_metadata(path).num_rows for path in files(lake))
    assert counts == [1, 4, 4, 4, 4]
    assert answers(lake) == list(range(17))


def test_what_killed_processes_left_becomes_several_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MOST", 4)
    lake = made(tmp_path)
    for number in range(10):
        append(lake, number)
    assert merge(lake) == 10
    assert sorted(pq.read_metadata(path).num_rows for path in files(lake)) == [2, 4, 4]
    assert answers(lake) == list(range(10))


def test_an_answer_wins_over_failures_as_before(tmp_path: Path) -> None:
    lake = made(tmp_path)
    for error in ("timeout: late", None, "timeout: late", "server_error: odd"):
        append(lake, 7, error)
    assert merge(lake) == 4
    assert answers(lake) == [7]


def test_nothing_goes_when_the_merged_file_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(tmp_path)
    for number in range(4):
        append(lake, number)
    with monkeypatch.context() as stopped:
        stopped.setattr(compaction, "_supersede_replaced", lambda *given: None)
        merge(lake)
    [merged] = [path for path in files(lake) if path.name.startswith("merged")]
    merged.rename(merged.with_suffix(".cut"))
    assert merge(lake) == 4
    assert answers(lake) == [0, 1, 2, 3]


def test_files_stay_while_others_may_be_listing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = made(tmp_path)
    for number in range(4):
        append(lake, number)
    there: list[int] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: there.append(len(files(lake))))
    merge(lake)
    assert there == [5], "the four, and the one with their rows"
    assert len(files(lake)) == 1


def test_a_query_waits_for_its_files_to_be_gone_and_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third time; the error of any other kind is not waited for."""
    lake = made(tmp_path)
    append(lake, 0)
    con, rows = connect(lake), database._rows
    errors = ['Cannot open file "a.parquet": No such file or directory'] * 2
    pauses: list[float] = []

    def read(*given: Any) -> pa.Table:
        if errors:
            raise duckdb.IOException(errors.pop())
        return rows(*given)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(database, "_rows", read)
    assert database.query(con, "completions/calls", run="run", paid=[]).num_rows == 1
    assert pauses == list(database.MERGED_MEANWHILE[:2])
    errors.append("Cannot open file: Permission denied")
    with pytest.raises(duckdb.IOException, match="Permission"):
        database.query(con, "completions/calls", run="run", paid=[])
    assert len(pauses) == 2


def test_connecting_waits_for_files_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that are behind are a view of predictions, which another process may be merging."""
    lake, effect = made(tmp_path), database._effect
    said = hand_built.answers("e0", 0, [(True, True), (False, False)])
    hand_built.add(lake, "explanations", [hand_built.explanation("e0", 0, "a")])
    hand_built.add(lake, "predictions", said)
    errors = ['Cannot open file "a.parquet": No such file or directory'] * 2
    pauses: list[float] = []

    def run(con: duckdb.DuckDBPyConnection, name: str, parameters: Any) -> None:
        if errors:
            raise duckdb.IOException(errors.pop())
        effect(con, name, parameters)

    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(database, "_effect", run)
    with connect(lake) as con:
        assert con.sql("select balanced_accuracy from scores").fetchall() == [(1.0,)]
    assert (errors, pauses) == ([], list(database.MERGED_MEANWHILE[:2]))


def test_an_answer_that_somebody_removed_is_asked_for_and_stored_again(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        lake = made(tmp_path)
        async with Client(settings_of(url), MODEL, lake, "run") as client:
            await client.complete(ask("x"))
            for path in files(lake):
                path.unlink()
            await client.complete(ask("x"))

    with FaultServer(lambda asked: Reply("paid")) as server:
        loop.run(main(server.url))
        assert len(server.asked) == 2
    assert [row["answer"] for row in stored(tmp_path)] == ["paid"]


def test_one_process_merges_at_a_time(tmp_path: Path) -> None:
    lake = made(tmp_path)
    for number in range(4):
        append(lake, number)
    with alone(lake, "manifests/completions/run=run/merging.lock"):
        assert merge(lake) == 0
    assert merge(lake) == 4


class KilledError(BaseException):
    """Stands for kill -9: nothing is written or removed after it."""


def test_killed_before_any_step_it_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its first write, its second, ...: the rows are there, and stay there."""
    real = {name: getattr(Storage, name) for name in ("move", "staged", "discard")}
    for steps in itertools.count():
        lake = made(tmp_path / str(steps))
        for number in range(4):
            append(lake, number)
        merge(lake)
        for number in range(4, 8):
            append(lake, number)
        con, left = connect(lake), steps

        def step(name: str, *arguments: object) -> object:
            nonlocal left
            if left <= 0:
                raise KilledError(name)
            left -= 1
            return real[name](*arguments)

        with monkeypatch.context() as killing:
            for name in real:
                killing.setattr(Storage, name, lambda *given, name=name: step(name, *given))
            try:
                merge(lake)
                killed = False
            except KilledError:
                killed = True
        for _ in range(3):
            assert con.sql("select answer::int as n from completions order by n").fetchall() == [
                (number,) for number in range(8)
            ], steps
            merge(lake)
        if not killed:
            break
    assert steps == 12, "to stage and move a file, its manifest twice; to remove five and that"


WRITING = """
import sys
from tests.lake import test_compaction as this
this.compaction.SETTLING = 0.0
lake = this.made(this.Path(sys.argv[1]))
for number in range(int(sys.argv[2]), 100_000):
    this.append(lake, number)
    print(number, flush=True)
    this.merge(lake)
"""


def test_kill_9_while_others_read(tmp_path: Path) -> None:
    """Whatever was written is shown, once, at every look and after every kill."""
    lake, written = made(tmp_path), 0
    reading, ended = threading.Event(), threading.Event()
    problems: list[str] = []
    con = connect(lake)

    def shown() -> list[int]:
        calls = database.query(con, "completions/calls", run="run", paid=[])
        asked = {ask(str(number)).hash: number for number in range(calls.num_rows)}
        return sorted(asked[name] for name in calls["request"].to_pylist())

    def read() -> None:
        while not reading.is_set():
            least = written
            seen = shown()
            if seen != list(range(len(seen))) or len(seen) < least:
                problems.append(f"{least} were written, {seen} are shown")
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n_lines, kill_after in ((4, 0.0), (9, 0.01), (12, 0.03)):
            command = [sys.executable, "-c", WRITING, str(tmp_path), str(written)]
            with subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            ) as process:
                assert process.stdout is not None
                for number, line in enumerate(process.stdout):
                    written = int(line) + 1
                    if number == n_lines:
                        # At any point of a write: where in it, the time drawn says.
                        time.sleep(kill_after)
                        process.kill()
            # The last append may have been done and not told.
            written = len(answers(lake))
    finally:
        reading.set()
        reader.join()
    assert ended.is_set(), "the reader has failed"
    assert not problems
    assert written > 20
    assert answers(lake) == list(range(written))


def test_a_run_merges_its_answers_as_it_goes_and_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delphi_assets.llm.calls.completions.PAUSE", 0.0)
    monkeypatch.setattr(compaction, "MANY", 8)
    monkeypatch.setattr(compaction, "MANY_AT_REST", 8)
    prompts = [str(number) for number in range(60)]
    with FaultServer(lambda asked: Reply(asked.prompt)) as server:
        complete(tmp_path, server.url, prompts, max_concurrent=2)
        most = len(files(made(tmp_path)))
        again = complete(tmp_path, server.url, prompts)
        assert len(server.asked) == 60
    assert most < 20
    assert [one.answer for one in again] == prompts
    assert len(stored(tmp_path)) == 60
    assert str(again[3].messages) == ask("3").messages_json


def test_files_that_cannot_be_merged_stop_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lake = made(tmp_path)
    for number in range(4):
        append(lake, number)
    monkeypatch.setattr(compaction, "MANY_AT_REST", 4)

    def full(*arguments: object) -> None:
        raise OSError("no space left")

    async def one_more() -> None:
        async with CompletionLog(lake, "run") as log:
            await log.append(failed(ask("x"), "timeout", "late", 0.0, 1))
            monkeypatch.setattr(Lake, "publish", full)

    loop.run(one_more())
    assert "the files of completions were not merged: no space left" in caplog.text
    assert len(files(lake)) == 5


def test_a_lake_at_a_url_is_merged_too() -> None:
    lake = Lake(f"memory://compaction-{time.time_ns()}")
    lake.initialize()
    for number in range(4):
        append(lake, number)
    assert merge(lake) == 4
    assert merge(lake) == 0
    assert answers(lake) == [0, 1, 2, 3]


def test_rows_of_a_stage_are_merged_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MANY_AT_REST", 4)
    lake = made(tmp_path)
    rows = [asdict(failed(ask(str(number)), "timeout", "late", 0.0, 1)) for number in range(6)]

    async def write() -> None:
        async with RowWriter(lake, COMPLETIONS, RUN) as writer:
            for row in rows:
                assert await writer.submit([row]) == 1

    loop.run(write())
    assert len(files(lake)) == 1
    assert len(stored(tmp_path)) == 6

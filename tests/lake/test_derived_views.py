"""The views of runs, documents, positions and top windows: two runs of contexts of other lengths.

Both are written at random; what the views say is worked out from the same data in Python.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.lake.lake import File, Lake
from delphi_assets.lake.schema import WINDOWS
from delphi_assets.lake.units import windows_unit
from delphi_assets.queries import results
from tests.parts import kept_lake
from tests.parts.hand_built import Row, add
from tests.parts.random_lake import (
    HOOKPOINT,
    VOCABULARY,
    profile_of,
    write_activations,
    write_corpus,
)

N_TOKENS = 1_000
LENGTHS = {"long": 32, "short.16-": 16}
"""Tokens in a context, by run."""
FIRED: dict[int, dict[int, float]] = {0: {}, 1: {9: 1, 40: 5, 41: 2, 777: 3, 999: 4}}
WINDOW = 8


class Corpus(NamedTuple):
    """A run's tokens and, for each, the document that it is in."""

    tokens: list[int]
    documents: list[str | None]


def corpus(length: int) -> Corpus:
    """Documents of a few tokens or some contexts; the first token of a context is in none."""
    rng = np.random.default_rng(length)
    named = (f"{number}.txt" for number in itertools.count() for _ in range(rng.integers(1, 90)))
    documents = [
        None if position % length == 0 else document
        for position, document in enumerate(itertools.islice(named, N_TOKENS))
    ]
    return Corpus(rng.integers(0, VOCABULARY, N_TOKENS).tolist(), documents)


CORPORA = {run: corpus(length) for run, length in LENGTHS.items()}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Both runs, in two shards; the corpora end before the tokens that were asked for."""
    lake = Lake(tmp_path_factory.mktemp("lengths") / "lake")
    for run in LENGTHS:
        write_run(lake, run)
    return lake


def write_run(lake: Lake, run: str) -> None:
    """Contexts, vocabulary, activations, and the windows of latent 1, the strongest first."""
    profile = profile_of(N_TOKENS + 500, LENGTHS[run], 1, run, example_ctx_len=WINDOW)
    lake.claim_run(run, profile.run_config())
    write_corpus(lake, profile, *CORPORA[run])
    write_activations(lake, profile, FIRED, len(FIRED))
    windows: list[Row] = [
        {"latent": 1, "place": place, "position": position, "max_activation": strongest}
        for place, (position, strongest) in enumerate([(40, 5), (992, 4), (776, 3), (8, 1)], 1)
    ]
    unit = windows_unit(run, HOOKPOINT, WINDOW, 0)
    lake.publish(unit, [File(WINDOWS.from_rows(windows))], {})


@pytest.fixture(scope="module")
def con(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(lake) as con:
        yield con


def text_of(tokens: list[int]) -> str:
    return "".join(f" t{token}" for token in tokens)


def test_a_literal_length_takes_tokens_of_other_runs_for_a_latents_own(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """What positions are for: decoded by a length of 32, as one of the runs has it."""
    by_literal = """
        select activations.run, position, contexts.tokens[position % 32 + 1]
        from activations
        inner join contexts
            on activations.run = contexts.run and activations.position // 32 = contexts.context
    """
    by_view = """
        select activations.run, activations.position, token
        from activations
        inner join positions using (run, position)
    """
    right = sorted(
        (run, position, CORPORA[run].tokens[position]) for run in LENGTHS for position in FIRED[1]
    )
    assert sorted(con.sql(by_literal).fetchall()) != right
    assert sorted(con.sql(by_view).fetchall()) == right


def test_a_run_says_what_it_is_of_and_how_large_it_is(con: duckdb.DuckDBPyConnection) -> None:
    columns = "run, model, coder, corpus, cache_ctx_len, seed, n_contexts, n_tokens"
    found = con.sql(f"select {columns} from runs order by n_contexts").fetchall()
    assert found == [
        (run, "none", "none", "none", length, 22, -(-N_TOKENS // length), N_TOKENS)
        for run, length in LENGTHS.items()
    ]
    assert (
        con.sql("from runs where begun_at > last_written_at or schema_version is null").fetchall()
        == []
    )


def test_a_run_of_a_version_that_noted_less_is_there(tmp_path: Path) -> None:
    """No stage of this version has written to it; and one that has no contexts yet."""
    lake = Lake(kept_lake.unpack(3, tmp_path) / "lake")
    names = "run, model, cache_ctx_len, n_contexts, n_tokens, schema_version, library_version"
    kept = ("kept", "model", 32, 32, 1_024, 3, None)
    assert connect(lake).sql(f"select {names} from runs").fetchall() == [kept]
    lake.claim_run("begun", {"cache.cache_ctx_len": 16, "a setting of later": [1]})
    found = connect(lake).sql(f"select {names} from runs order by run").fetchall()
    assert found == [("begun", None, 16, 0, 0, None, None), kept]


def test_a_document_has_its_tokens_once(con: duckdb.DuckDBPyConnection) -> None:
    """Unnested without care, each document of a context has all tokens of it."""
    for run, length in LENGTHS.items():
        documents = CORPORA[run].documents
        places = {(document, at // length) for at, document in enumerate(documents) if document}
        expected = {
            document: (sum(one == document for one, _ in places), documents.count(document))
            for document, _ in places
        }
        found = con.execute("from documents where run = $run", {"run": run}).fetchall()
        assert {row[1]: row[2:4] for row in found} == expected
        assert {row[4] for row in found} == {None}
    careless = con.sql("""
        select sum(n) from (
            select len(tokens) as n, unnest(document_ids) from contexts where run = 'long'
        )
    """).fetchall()
    assert careless[0][0] > N_TOKENS


def test_a_position_has_its_token_and_document(con: duckdb.DuckDBPyConnection) -> None:
    columns = 'position, context, "offset", document, token, text'
    for run, length in LENGTHS.items():
        asked = f"select {columns} from positions where run = $run order by position"
        found = con.execute(asked, {"run": run}).fetchall()
        assert found == [
            (at, at // length, at % length, document, token, text_of([token]))
            for at, (token, document) in enumerate(zip(*CORPORA[run], strict=True))
        ]


def test_a_position_without_a_documents_name_is_there(tmp_path: Path) -> None:
    lake, profile = Lake(tmp_path), profile_of(20, 8, 1, example_ctx_len=8)
    lake.claim_run("random", profile.run_config())
    write_corpus(lake, profile, list(range(20)), [None] * 20)
    con = connect(lake)
    found = con.sql("select token, document from positions order by position").fetchall()
    assert found == [(token, None) for token in range(20)]
    assert con.sql("from documents").fetchall() == []


READS = {"position = 777": 777, "position between 777 and 780": 777, "position < 3": 0}


@pytest.mark.parametrize("asked", READS)
def test_a_literal_position_reads_the_row_group_that_it_is_in(tmp_path: Path, asked: str) -> None:
    """The other one cannot be read any more, and nobody notices until all are asked for."""
    lake = Lake(tmp_path)
    write_run(lake, "long")
    with connect(lake) as con:
        explained = con.sql(f"explain (analyze, format json) from positions where {asked}")
        (scan,) = scans(json.loads(explained.fetchall()[0][1]), "/contexts/")
        assert any("context" in one for one in listed(scan["extra_info"]["Dynamic Filters"]))
        assert scan["operator_cardinality"] == 1
        expected = con.sql(f"from positions where {asked} order by position").fetchall()
        assert expected[0][1] == READS[asked]
    shards = sorted(tmp_path.glob("contexts/*/*/*.parquet"))
    assert len(shards) == 2
    spoil(shards[READS[asked] < 752])
    with connect(lake) as con:
        assert con.sql(f"from positions where {asked} order by position").fetchall() == expected
        with pytest.raises(duckdb.Error):
            con.sql("select max(token) from positions").fetchall()


def scans(plan: dict[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """The operators of a plan that read files with this in their paths."""
    if path in plan["extra_info"].get("Filename(s)", ""):
        yield plan
    for child in plan["children"]:
        yield from scans(child, path)


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def spoil(path: Path) -> None:
    """Write nonsense over the data of a Parquet file; its footer stays."""
    content = bytearray(path.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:footer] = b"\xff" * (footer - 4)
    path.write_bytes(content)


def test_the_strongest_windows_of_a_latent_as_text(con: duckdb.DuckDBPyConnection) -> None:
    """One line; in the other run the same positions are in other contexts."""
    for run, length in LENGTHS.items():
        asked = """
            select context, "offset", max_activation, window_text(run, position, example_ctx_len)
            from top_windows where latent = 1 and run = $run order by place
        """
        found = con.execute(asked, {"run": run}).fetchall()
        tokens = CORPORA[run].tokens
        assert found == [
            (at // length, at % length, strongest, text_of(tokens[at : at + WINDOW]))
            for at, strongest in ((40, 5.0), (992, 4.0), (776, 3.0), (8, 1.0))
        ]


@pytest.mark.parametrize("first", [0, 3, 30, 995])
def test_the_text_of_a_window_is_of_its_run_whatever_the_columns_are_called(
    con: duckdb.DuckDBPyConnection, first: int
) -> None:
    """Columns called run, position and context are columns of the tables that are read, too."""
    for run in LENGTHS:
        expected = text_of(CORPORA[run].tokens[first : first + 40])
        given = {"run": run, "first": first}
        asked = """
            with windows as (select $run as run, $first as position, 40 as context)
            select window_text(run, position, context) from windows
        """
        assert con.execute(asked, given).fetchall() == [(expected,)]
        literal = "select window_text($run, $first, 40)"
        assert con.execute(literal, given).fetchall() == [(expected,)]
    assert con.sql("select window_text('another', 0, 8)").fetchall() == [(None,)]


def test_the_views_are_read_where_nothing_can_be_written(
    lake: Lake, con: duckdb.DuckDBPyConnection
) -> None:
    with results.session(str(lake.root)) as held:
        for name in ("runs", "documents", "positions", "top_windows"):
            # Not `table`: it holds Python's lock while DuckDB's threads ask Python for the files.
            rows = held.execute(f"from {name} order by all").fetchall()
            assert rows == con.table(name).order("all").fetchall()
        assert held.execute("select window_text('long', 0, 1)").fetchall() == [
            (text_of(CORPORA["long"].tokens[:1]),)
        ]


def test_the_views_are_read_from_an_object_store(tmp_path: Path) -> None:
    lake = Lake(f"memory://{tmp_path.name}/la[k]e")
    assert lake.version is None
    lake.initialize()
    assert connect(lake).sql("from runs").fetchall() == []
    write_run(lake, "short.16-")
    con = connect(lake)
    assert con.sql("select run, n_tokens from runs").fetchall() == [("short.16-", N_TOKENS)]
    (row,) = con.sql("select token from positions where position = 777").fetchall()
    assert row == (CORPORA["short.16-"].tokens[777],)


def test_a_lake_without_contexts_has_no_runs(tmp_path: Path) -> None:
    """As nobody could write to it: not even the lists of no manifests are there."""
    lake = Lake(tmp_path)
    add(lake, "completions", [{"request": "r"}])
    for path in [*tmp_path.glob("manifests/*_/**/*.json")]:
        path.unlink()
    with connect(lake) as con:
        for name in ("runs", "documents", "positions", "top_windows"):
            assert con.table(name).fetchall() == []

"""`delphi-assets sql` as people use it: in a pipe, in a script, and on a terminal of its own."""

import csv
import io
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from delphi_assets.command_line import main
from delphi_assets.lake.database import connect, sql_folder
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.read_only import ReadOnlyLake
from delphi_assets.queries import results
from delphi_assets.queries.analyses import analyses
from delphi_assets.queries.formats import write_table
from delphi_assets.queries.parameters import typed
from delphi_assets.queries.statements import questions
from tests.parts.hand_built import HOOKPOINT, RUN, add, answers, explanation, latent, publish

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-c", "from delphi_assets.command_line import main; exit(main())"]
TOKENS = {'a,"b\n': 0.5, "\x1b[31mred": 0.25, "漢字": 0.125}
TRUE_FALSE = [(True, 0.9), (True, 0.4), (False, 0.2), (False, 0.7)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two latents with odd texts, one explained and judged."""
    root = tmp_path_factory.mktemp("shell") / "lake"
    lake = Lake(root)
    rows = [
        latent(0, TOKENS, n_activations=7, token_density=0.25),
        latent(1, {}, n_activations=0, reason="dead"),
    ]
    publish(lake, "latents", rows)
    add(lake, "explanations", [explanation("e0", 0, "line one\nline two")])
    add(lake, "predictions", answers("e0", 0, TRUE_FALSE))
    with connect(lake):
        pass
    return root


def asked(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What `delphi-assets sql` writes; it must end well."""
    assert main(["sql", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What it says on standard error, one line, and nothing else."""
    assert main(["sql", *map(str, arguments)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("delphi-assets: ")
    assert err.count("\n") == 1
    return err


EVERY_TYPE = """
select 1 as i, 0.1::double as d, 'nan'::double as n, null as z, true as b, 'x,"\n' as t,
    [1, null] as l, {'k': 'v'} as s, 12345678901234567890::hugeint as h,
    timestamp '2026-01-02 03:04:05' as w
"""


def test_csv_and_json_hold_the_same(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(asked(capsys, lake, EVERY_TYPE, "--format", "json"))
    assert row == {
        "i": 1, "d": 0.1, "n": None, "z": None, "b": True, "t": 'x,"\n', "l": [1, None],
        "s": {"k": "v"}, "h": 12345678901234567890, "w": "2026-01-02T03:04:05",
    }  # fmt: skip
    text = asked(capsys, lake, EVERY_TYPE)
    names, values = csv.reader(io.StringIO(text))
    assert names == list(row)
    assert values == [
        "1", "0.1", "nan", "", "true", 'x,"\n', "[1, null]", '{"k": "v"}', "12345678901234567890",
        "2026-01-02T03:04:05",
    ]  # fmt: skip


ODD_DATES = """
select date '12000-01-01' as d, timestamp '12000-01-01 01:02:03' as t, 'infinity'::date as i,
    '-infinity'::timestamp as m, date '-44-03-15' as b, [timestamp '12000-01-01', null] as l,
    {'when': date '12000-01-01', 'n': 1} as s
"""


def test_dates_that_python_has_not_are_written(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (row,) = json.loads(asked(capsys, lake, ODD_DATES, "--format", "json"))
    assert row == {
        "d": "12000-01-01", "t": "12000-01-01T01:02:03.000000", "i": "infinity", "m": "-infinity",
        "b": "-0044-03-15", "l": ["12000-01-01T00:00:00.000000", None],
        "s": {"when": "12000-01-01", "n": 1},
    }  # fmt: skip
    _, values = csv.reader(io.StringIO(asked(capsys, lake, ODD_DATES)))
    assert values[:5] == [row[name] for name in "dtimb"]
    for shown in ("csv", "json", "table"):
        asked(capsys, lake, "from test_all_types()", "--format", shown)


def test_no_text_of_csv_is_a_formula(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["=1+1", "+1", "-1", "@a", "\ta", "\ra", "'=1", "''-", "'a", "a=1", "", "-"]
    values = ", ".join(f"({number}, '{text.replace(chr(39), chr(39) * 2)}')"
                       for number, text in enumerate(texts))  # fmt: skip
    numbers = "-n as n, -1.5::double as d, -2.5::decimal(3, 1) as e"
    query = f"select {numbers}, t from (values {values}) v(n, t)"
    text = asked(capsys, lake, query)
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    assert [row[:3] for row in rows] == [[str(-n), "-1.5", "-2.5"] for n in range(len(texts))]
    held = [row[3] for row in rows]
    assert not any(field.startswith(tuple("=+-@\t\r")) for field in held)
    # As the documentation says: the first quote of such a field was added, and no other.
    assert [re.sub(r"^'('*[=+\-@\t\r])", r"\1", field) for field in held] == texts
    assert held[8:11] == texts[8:11]
    assert asked(capsys, lake, 'select 1 as "=n"') == "'=n\n1\n"
    assert json.loads(asked(capsys, lake, "select '=1' as t", "--format", "json")) == [{"t": "=1"}]


@pytest.mark.parametrize("rows", ["-5", "0", "many", "1e3", "9" * 30, "9" * 5_000, "\u0663"])
def test_numbers_of_rows_are_counted(
    lake: Path, capsys: pytest.CaptureFixture[str], rows: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sql", str(lake), "select 1", f"--rows={rows}"])
    assert ended.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err


def test_a_key_in_an_argument_is_not_shown(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "sk-or-v1-0123456789abcdef0123456789abcdef"
    for arguments in (
        ["export-table", str(lake), "t.csv", "--run", key],
        ["sql", str(lake), f"select {key!r}::int"],
        ["estimate", key],
    ):
        assert main(arguments) == 1
        assert "0123456789abcdef" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "variables", "told"),
    [
        (b"select 'caf\xe9'", {}, "standard input is not utf-8"),
        ("select 'café' as t".encode(), {"PYTHONIOENCODING": "utf-8:strict"}, None),
        (b"select chr(233) as t", {"PYTHONIOENCODING": "ascii"}, "standard output is ascii"),
    ],
)
def test_encodings_of_pipes(
    lake: Path, query: bytes, variables: dict[str, str], told: str | None
) -> None:
    asking = subprocess.run(
        [*COMMAND, "sql", lake],
        input=query,
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8:strict", **variables},
    )
    said = asking.stderr.decode()
    assert asking.returncode == (0 if told is None else 1)
    assert said == "" if told is None else told in said
    assert said.count("\n") <= 1


def test_no_row_is_lost(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = asked(capsys, lake, "select range as i from range(20001)")
    assert text == "i\n" + "".join(f"{i}\n" for i in range(20_001))
    assert json.loads(asked(capsys, lake, "from range(0)", "--format", "json")) == []


def test_table(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers right, wide characters counted twice, nothing that moves the cursor."""
    query = "select unnest(top_tokens) as token, 1 / 3 as share from latents where latent = 0"
    assert asked(capsys, lake, query, "--format", "table").splitlines() == [
        "token      share",
        "--------  ------",
        'a,"b⏎     0.3333',
        "␛[31mred  0.3333",
        "漢字      0.3333",
        "3 rows",
    ]
    more = asked(capsys, lake, "from range(9)", "--format", "table", "--rows", 1)
    assert more.splitlines()[-1] == "the first 1 row of more"


def shown(lake: Path, query: str, width: int) -> str:
    out = io.StringIO()
    with results.session(str(lake)) as con:
        write_table(results.run(con, questions(con, query)[0], {}), out, width, None)
    return out.getvalue()


def test_table_fits_the_terminal(lake: Path) -> None:
    """Names take several lines and texts are shortened while that is enough; then a row does."""
    wide = "select 1 as number_of_all, repeat('x', 99) as text, repeat('漢', 99) as more"
    cut = shown(lake, wide, 60).splitlines()
    assert [line.split() for line in cut[:2]] == [["number_"], ["of_all", "text", "more"]]
    assert len(cut) == 5
    assert all(len(line) <= 60 for line in cut)
    assert cut[3].count("…") == 2
    many = "select repeat('x', 30) as a, repeat('y', 30) as b, repeat('z', 30) as c"
    assert shown(lake, many, 25).splitlines() == [
        "-- row 1", f"a  {'x' * 21}…", f"b  {'y' * 21}…", f"c  {'z' * 21}…", "1 row",
    ]  # fmt: skip
    blocks = shown(lake, f"{many} from range(12)", 25).splitlines()
    assert (len(blocks), blocks[-1]) == (41, "the first 10 rows of more")


def test_of_several_statements_the_last_is_shown(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(capsys, lake, "select 1 as one; select 2 as two", "--format", "csv") == "two\n2\n"


def test_explain_is_shown_as_it_is(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "┌" in asked(capsys, lake, "explain select 1", "--format", "table")


@pytest.mark.parametrize("path", sorted((sql_folder() / "analysis").glob("*.sql")), ids=str)
def test_every_analysis_runs(lake: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a file and by its name; what has no default is given."""
    others = {
        "latent": "0", "str_token": "a", "explanation_id": "e0", "other_run": RUN,
        "other_scorer": "fuzz", "other_model": "gpt", "model": "lexical",
        "explainer": "lexical", "explainer_model": "lexical", "other_explainer": "default",
        "other_explainer_model": "gpt",
    }  # fmt: skip
    (question,) = questions(duckdb.connect(), path.read_text(encoding="utf-8"))
    # The lake has no examples, so no selection either.
    given = {**others, "run": RUN, "hookpoint": HOOKPOINT}
    if "selection" in question.parameters:
        assert "holds no selection" in refused(capsys, lake, "--analysis", path.stem)
        return
    flags = [
        f"--param={name}={value}" for name, value in given.items() if name in question.parameters
    ]
    by_file = asked(capsys, lake, "-f", path, *flags).splitlines()
    unnamed = [flag for flag in flags if "=run=" not in flag]
    by_name = asked(capsys, lake, "--analysis", path.stem, *unnamed).splitlines()
    assert (by_file[0], len(by_file)) == (by_name[0], len(by_name))


def test_list_names_question_and_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    text = asked(capsys, "--list")
    for one in analyses():
        assert f"{one.name}\n    {one.question}\n    {one.parameters}\n" in text
        (question,) = questions(duckdb.connect(), one.text)
        assert all(f"${name}" in one.parameters for name in question.parameters), one.name
        assert one.question.endswith(("?", ".")), one.name
        assert one.columns, one.name


def test_parameters_are_read_as_what_they_are() -> None:
    given = ["n=1", "m=-2.5", "t=true", "z=null", "run=12", "other_scorer=7", "q='5'", "s=a=b"]
    assert typed(given) == {
        "n": 1, "m": -2.5, "t": True, "z": None, "run": "12", "other_scorer": "7", "q": "5",
        "s": "a=b",
    }  # fmt: skip


def test_parameters_of_which_there_is_one_may_be_left_out(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked(capsys, lake, "select $run as r, $hookpoint as h, $scorer as s") == (
        f"r,h,s\n{RUN},{HOOKPOINT},detection\n"
    )


def test_of_several_runs_one_has_to_be_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(tmp_path / "lake")
    for run, hookpoint in (("one", "layers.1"), ("two", "layers.1"), ("two", "layers.2@wide")):
        publish(lake, "latents", [latent(0, {})], run=run, hookpoint=hookpoint)
    place = "select $run as r, $hookpoint as h"
    assert "holds 2 runs, ['one', 'two']" in refused(capsys, lake.url, place)
    assert asked(capsys, lake.url, place, "--param", "run=one") == "r,h\none,layers.1\n"
    assert "holds 2 hookpoints, ['layers.1', 'layers.2@wide']" in refused(
        capsys, lake.url, place, "--param", "run=two"
    )


REFUSED = [
    ("select 1 from (", (), "syntax error"),
    ("from nowhere", (), "nowhere"),
    ("select error('late') from range(9)", (), "late"),
    ("", (), "the query is empty"),
    ("-- only a comment", (), "the query is empty"),
    ("select $x", (), "needs $x"),
    ("select $n_rows", ("n_row=1",), "no parameter $n_row; it takes $n_rows"),
    ("select $run", ("run=other",), "holds no run 'other'; it holds ['hand']"),
    ("select $run", ("run",), "expected name=value"),
]


@pytest.mark.parametrize(("query", "given", "says"), REFUSED)
def test_errors_are_one_line(
    lake: Path, capsys: pytest.CaptureFixture[str], query: str, given: tuple[str, ...], says: str
) -> None:
    assert says in refused(capsys, lake, query, *(f"--param={text}" for text in given))


def test_what_is_not_there_is_named(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'best_explained'" in refused(capsys, lake, "--analysis", "best_explain")
    assert "absent.sql" in refused(capsys, lake, "-f", lake / "absent.sql")
    assert "there is no lake" in refused(capsys, lake / "absent", "select 1")


WRITING = [
    "copy (select 1) to '{file}'",
    "copy (select 1) to '{file}' (use_tmp_file false)",
    "copy (select 1 as a, 2 as b) to '{file}' (partition_by a, overwrite)",
    "explain analyze copy (select 1) to '{file}'",
    "-- harmless\nexplain (analyze) copy (select 1) to '{file}'",
    "explain (analyze /*) select 1 --*/ ) copy (select 1) to '{file}'",
    "select 1; copy (select 1) to '{file}'",
    "prepare one as copy (select 1) to '{file}'; execute one",
    "copy (pivot (select 1 as a, 2 as b) on a using sum(b)) to '{file}'",
    "explain analyze copy (pivot (select 1 as a, 2 as b) on a using sum(b)) to '{file}'",
    "export database '{file}'",
    "import database '{file}'",
    "pragma import_database('{file}')",
    "attach '{file}'",
    "attach '{file}' as one; create table one.two as select 3",
    "set log_query_path = '{file}'; select 1",
    "set profile_output = '{file}'; explain analyze select 1",
    "pragma profiling_output = '{file}'; select 1",
    "set temp_directory = '{file}'; select 1",
    "set allowed_directories = ['/']; copy (select 1) to '{file}'",
    "set enable_external_access = true; copy (select 1) to '{file}'",
    "reset lock_configuration; copy (select 1) to '{file}'",
    "create persistent secret two (type http, bearer_token 'x')",
    "install '{file}'",
    "load '{file}'",
]
BREAKING = [
    "from enable_logging(storage = 'file', storage_path = '{file}')",
    "from enable_profiling(format = 'json', save_location = '{file}.json')",
]
"""They would write no file either, but end the session: DuckDB sees it when it writes."""


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def attacked(lake: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the lake, and a file beside it."""
    shutil.copytree(lake, tmp_path / "there" / "lake")
    (tmp_path / "there" / "precious").write_text("1\n")
    return tmp_path / "there"


TARGETS = ["elsewhere", "new", "of the lake", "as a URL", "new in the lake"]


@pytest.fixture
def target(request: pytest.FixtureRequest, attacked: Path) -> str:
    """What is attacked, as a query names it."""
    (file,) = (attacked / "lake" / "latents").rglob(f"run={RUN}/*/*.parquet")
    return {
        "elsewhere": f"{attacked}/precious",
        "new": f"{attacked}/new",
        "of the lake": str(file),
        "as a URL": f"lake://{file}",
        "new in the lake": f"lake://{file.parent}/new.parquet",
    }[request.param]


@pytest.mark.parametrize("target", ["of the lake"], indirect=True)
def test_a_query_writes_no_file(
    attacked: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(attacked)
    for query in WRITING:
        assert refused(capsys, attacked / "lake", query.format(file=target))
    assert contents(attacked) == before


@pytest.mark.parametrize("target", TARGETS, indirect=True)
def test_duckdb_itself_lets_no_query_write(attacked: Path, target: str) -> None:
    """Not the look that is taken at a statement: here there is none."""
    before = contents(attacked)
    with results.session(str(attacked / "lake")) as con:
        for query in WRITING:
            with pytest.raises(duckdb.Error):
                con.cursor().execute(query.format(file=target)).fetchall()
        assert con.sql("select count(*) from latents").fetchall() == [(2,)]
    assert contents(attacked) == before


@pytest.mark.parametrize("target", ["of the lake", "as a URL"], indirect=True)
def test_no_log_is_written(attacked: Path, target: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(attacked)
    for query in [one.format(file=target) for one in BREAKING]:
        for written in (query, f"select 'ä'; {query.upper()}", query.replace("(", "/*(*/ (", 1)):
            said = refused(capsys, attacked / "lake", written)
            assert "enable_" in said
            assert "is refused" in said
    assert contents(attacked) == before


def test_a_function_that_is_refused_may_be_spoken_of(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sql", str(lake), "select 'enable_logging()' as enable -- enable_logging()"]) == 0
    assert capsys.readouterr().out == "enable\nenable_logging()\n"


@pytest.mark.parametrize("target", ["of the lake", "as a URL"], indirect=True)
@pytest.mark.parametrize("query", BREAKING)
def test_no_log_is_written_where_the_function_is_hidden(
    attacked: Path, target: str, query: str
) -> None:
    before = contents(attacked)
    hidden = "from query('{}')".format(query.format(file=target).replace("'", "''"))
    command = [*COMMAND, "sql", str(attacked / "lake"), f"{hidden}; select 1"]
    assert subprocess.run(command, capture_output=True, check=False).returncode
    assert contents(attacked) == before


def test_a_refusal_says_what_to_do(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for query in ("copy (select 1) to 'a'", "from 'a.csv'", "explain analyze copy latents to 'a'"):
        assert "use --format csv or json" in refused(capsys, lake, query)
    assert "can set threads, memory_limit" in refused(capsys, lake, "set log_query_path = 'a'")


def test_settings_of_size_are_free(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = "set threads = 1; set memory_limit = '500MB'; set variable mine = 5"
    asked_for = "select current_setting('threads') as n, getvariable('mine') as mine"
    assert asked(capsys, lake, f"{given}; {asked_for}") == "n,mine\n1,5\n"


def test_a_query_larger_than_memory_spills(lake: Path) -> None:
    with results.session(str(lake)) as con:
        con.execute("set threads = 1")
        con.execute("set memory_limit = '60MB'")
        con.execute("create table large as select hash(i) as h from range(12000000) as r(i)")
        spilled = "select sum(size) > 10000000 from duckdb_temporary_files()"
        held = """
            select count(*), bit_xor(h) = bit_xor(hash(i))
            from large
            positional join range(12000000) as r(i)
        """
        assert con.sql(spilled).fetchall() == [(True,)]
        assert con.sql(held).fetchall() == [(12_000_000, True)]


MANY_TRIES = """
import sys
from delphi_assets.queries import results
from delphi_assets.queries.statements import questions

text = "select i, sum(r) over (partition by i order by r) as n " \\
    "from read_parquet($files, union_by_name = true)"
with results.session(sys.argv[1]) as con:
    con.execute("set threads = 4")
    (question,) = questions(con, text)
    files = f"lake://{sys.argv[1]}/many/*.parquet"
    for _ in range(60):
        assert len(list(results.run(con, question, {"files": files}).rows)) == 12_000
"""


def test_threads_that_read_are_not_waited_for_with_the_lock_of_python(attacked: Path) -> None:
    """With parameters, `con.sql` keeps it: the query never ended, in some tries."""
    (attacked / "lake" / "many").mkdir()
    for number in range(12):
        rows = f"select {number} as i, range as r from range(1000)"
        file = attacked / "lake" / "many" / f"{number}.parquet"
        duckdb.sql(f"copy ({rows}) to '{file}'")
    command = [sys.executable, "-c", MANY_TRIES, str(attacked / "lake")]
    assert subprocess.run(command, timeout=500, check=False).returncode == 0


def test_a_pivot_and_a_secret_of_the_session_are_welcome(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pivot = "pivot (select 'a' as name, 2 as n) on name using sum(n)"
    assert asked(capsys, lake, pivot) == "a\n2\n"
    assert asked(capsys, lake, "create secret one (type http, bearer_token 'x'); select 1 as n")


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_is_named_with_who_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    rng = random.Random(seed)
    damaged = Lake(tmp_path / "lake [1]")
    publish(damaged, "latents", [latent(number, TOKENS) for number in range(20)])
    add(damaged, "explanations", [explanation(f"e{n}", n, f"text {n}") for n in range(20)])
    (file,) = (tmp_path / "lake [1]/explanations").rglob("*.parquet")
    content = bytearray(file.read_bytes())
    if seed % 3 == 0:
        content = content[: rng.randrange(len(content))]
    else:
        start = rng.randrange(len(content) - 60)
        content[start : start + 60] = rng.randbytes(60)
    file.write_bytes(content)
    asking = ["sql", str(tmp_path / "lake [1]"), "from explanations"]
    if main(asking) == 0:
        # Some bytes are nobody's: what follows the last page, or a value that another one is.
        assert seed % 3
        return
    told = capsys.readouterr().err
    assert file.name in told
    assert "materialize the asset 'explanations' again" in told
    assert told.count("\n") == 1
    exporting = ["export-table", str(tmp_path / "lake [1]"), str(tmp_path / "t.csv")]
    assert main(exporting) in (0, 1)


def test_no_file_is_read_behind_its_end_for_ever(tmp_path: Path) -> None:
    """DuckDB goes on for two thousand million reads, where a damaged footer says so."""
    (tmp_path / "three").write_bytes(b"abc")
    with ReadOnlyLake(tmp_path).fs.open(str(tmp_path / "three")) as file:
        assert [file.read(2) for _ in range(4)] == [b"ab", b"c", b"", b""]
        with pytest.raises(OSError, match="ends before"):
            all(file.read(1) == b"" for _ in range(10_000))


def test_no_query_changes_the_lake(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables of the session's own are welcome, views over the lake take no rows."""
    before = contents(lake)
    own = "create table mine as from latents; delete from mine where latent = 0; from mine"
    assert len(list(csv.reader(io.StringIO(asked(capsys, lake, own))))) == 2
    refused(capsys, lake, "delete from latents")
    refused(capsys, lake, "insert into latents from latents")
    asked(capsys, lake, "drop view latents")
    assert asked(capsys, lake, "select count(*) as n from latents") == "n\n2\n"
    assert contents(lake) == before


def test_broken_pipe_is_silent(lake: Path) -> None:
    query = "select repeat('x', 100) from range(100000)"
    with subprocess.Popen(
        [*COMMAND, "sql", lake, query], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"rror" not in process.stderr.read()
        assert process.wait(60) == 141


def test_query_from_standard_input(lake: Path) -> None:
    for arguments in (["sql", str(lake)], ["sql", str(lake), "-f", "-"]):
        done = subprocess.run(
            [*COMMAND, *arguments],
            input="select 1 as one",
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "one\n1\n"


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: object, **variables: str) -> None:
        self.pid, self.place = pty.fork()
        if self.pid == 0:
            os.environ.update(variables)
            os.execv(COMMAND[0], [*COMMAND, *map(str, arguments)])
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.place, text.encode())

    def until(self, text: str, seconds: float = 60) -> str:
        """What was shown up to `text`, which must come; it is not looked at again."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            ready, _, _ = select.select([self.place], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self.place, 65_536).decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def shows(self, text: str, seconds: float) -> bool:
        """Whether `text` comes within so many seconds."""
        try:
            self.until(text, seconds)
        except AssertionError:
            return False
        return True

    def worked(self) -> float:
        """Seconds that its threads have computed."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def status(self) -> int:
        """The exit status, once it has ended."""
        try:
            while os.read(self.place, 65_536):
                pass
        except OSError:
            pass  # Linux says so that nobody has the other end open.
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(lake: Path, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal("sql", lake, DELPHI_ASSETS_CACHE=str(tmp_path), COLUMNS="100", TERM="dumb")
    opened.until("lake> ")
    yield opened
    os.close(opened.place)


def test_shell_asks_and_goes_on_after_errors(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("select latent,\n")
    terminal.until("  ... ")
    terminal.type("n_activations from latents order by latent;\n")
    assert "     0              7\r\n     1              0\r\n2 rows" in terminal.until("lake> ")
    terminal.type("from nowhere;\n")
    assert "nowhere does not exist" in terminal.until("lake> ")
    terminal.type("from enable_logging(storage = 'file');\n")
    assert "enable_logging is refused" in terminal.until("lake> ")
    terminal.type("create temp table mine as select 41 + 1 as answer;\n")
    terminal.until("lake> ")
    terminal.type("from mine; from mine;\n")
    assert terminal.until("lake> ").count("    42\r\n") == 2
    # A line without anything is one of the text that it stands in, and alone is nothing.
    terminal.type("\n")
    terminal.until("lake> ")
    terminal.type("select length('a\n\n.b') + 40 as length;\n")
    assert "    45\r\n" in terminal.until("lake> ")
    terminal.type("\x04")
    assert terminal.status() == 0
    assert "n_activations from latents" in (tmp_path / "sql_history").read_text()


def test_shell_commands(terminal: Terminal) -> None:
    for typed_in, says in (
        (".tables", "scores"),
        (".schema latents", "n_activations int64"),
        (".schema nothing", "there is no table 'nothing'"),
        (".analysis", "best_explained"),
        (".analysis latent_census", "n_explainable"),
        (".analysis best_explained n_rows=1", "line one"),
        (".analysis absent", "there is no analysis 'absent'"),
        (".set x=5", "$x = 5"),
        ("select $x + 1 as more;", "   6\r\n"),
        (".help", ".schema TABLE"),
        ("help", ".schema TABLE"),
        (".nonsense", "no command of the shell"),
    ):
        terminal.type(f"{typed_in}\n")
        assert says in terminal.until("lake> "), typed_in
    terminal.type(".quit\n")
    assert terminal.status() == 0


def test_tab_completes_names(terminal: Terminal) -> None:
    terminal.type("select max(n_activ\t) as most from latents;\n")
    assert "   7\r\n" in terminal.until("lake> ")


def test_ctrl_c_cancels_and_the_shell_goes_on(terminal: Terminal) -> None:
    terminal.type("select sum(a.range * b.range % 7) from range(10000000) a, range(1000000) b;\n")
    terminal.until(";")
    begun = terminal.worked()
    # Nothing is said while a query runs: that it does is seen by the CPU that it takes.
    while terminal.worked() < begun + 1:
        time.sleep(0.1)
    terminal.type("\x03")
    assert "cancelled" in terminal.until("lake> ")
    assert terminal.worked() < begun + 60, "the query takes days"
    terminal.type("select half\n")
    terminal.until("  ... ")
    # Python's readline misses a signal between its prompt and its first look at the keyboard.
    terminal.type("\x03")
    while not terminal.shows("lake> ", 1):
        terminal.type("\x03")
    terminal.type("select 6 * 7 as answer;\n")
    terminal.until("    42\r\n")


@pytest.mark.parametrize(
    ("kind", "heading"), [("dumb", "latent"), ("xterm", "\x1b[1mlatent\x1b[0m")]
)
def test_a_result_on_a_terminal_is_a_table(lake: Path, kind: str, heading: str) -> None:
    """Laid out as in a pipe; its heading is bold where the terminal can show that."""
    opened = Terminal("sql", lake, "select latent from latents order by latent", TERM=kind)
    assert f"{heading}\r\n------\r\n     0\r\n     1\r\n" in opened.until("2 rows")
    assert opened.status() == 0
    os.close(opened.place)


def test_ctrl_c_ends_a_script(lake: Path) -> None:
    """Whatever it is at; the query does not fit the pipe, so writing it waits for a reader."""
    query = "select sum(a.range * b.range % 7) from range(10000000) a, range(1000000) b"
    command, pipe = [*COMMAND, "sql", str(lake)], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(f"{query} --{' ' * 1_000_000}".encode())
        process.stdin.close()
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(60) == 130


def test_an_error_is_blamed_on_no_file_that_it_may_not_see(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The variable of the views' files is the query's to set, and is looked at after an error."""
    elsewhere = tmp_path / "elsewhere.parquet"
    elsewhere.write_bytes(b"no Parquet")
    raising = "from read_xlsx('a.xlsx')"
    plain = refused(capsys, lake, raising)
    for files in (f"{{'latents': ['{elsewhere}', 'http://127.0.0.1:9/*']}}", "{'latents': 3}", "3"):
        assert refused(capsys, lake, f"set variable files = {files}; {raising}") == plain


def test_an_error_within_duckdb_is_told_in_a_line(
    lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It comes from Arrow, as its own kind of error."""
    hidden = "from enable_profiling(format = ''json'', save_location = ''a.json'')"
    assert main(["sql", str(lake), f"from query('{hidden}'); select 42"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("delphi-assets: INTERNAL Error")
    assert "Stack Trace" not in told

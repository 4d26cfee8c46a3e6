"""The documentation: what it names exists, what exists is named, what it quotes is said."""

import itertools
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from dagster_project.definitions import defs
from delphi_assets import command_line, reference
from delphi_assets.ground.registries import EXPLAINERS, SCORERS
from delphi_assets.lake.database import definitions, sql_folder
from delphi_assets.lake.schema import TABLES, VIEWS
from delphi_assets.llm.calls import failures
from delphi_assets.settings import Profile
from tests.parts.documents import (
    NOTEBOOKS,
    PAGES,
    README,
    ROOT,
    anchors,
    blocks,
    links,
    messages,
    prose,
    text_of,
)

ASSETS = ROOT / "docs" / "assets.md"
EVERYTHING = "\n".join(map(text_of, (*PAGES, *NOTEBOOKS)))
SCORER_HEADINGS = ["What it measures", "What it costs", "How to read it", "Blind spots", "Sources"]
MOST_LINES = 160


def shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [*PAGES, *NOTEBOOKS], ids=shown)
def test_links_and_images_are_there(page: Path) -> None:
    for link in links(page):
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} of {shown(page)}"
        if fragment:
            assert fragment in anchors(target), f"{link} of {shown(page)}"


def test_every_page_is_reached_from_the_readme() -> None:
    reached, found = {README}, [README]
    while found:
        page = found.pop()
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix in (".md", ".ipynb") and target not in reached:
                reached.add(target)
                found.append(target)
    assert set(PAGES) | set(NOTEBOOKS) <= reached


@pytest.mark.parametrize("name", reference.PAGES)
def test_the_reference_is_what_the_code_says(name: str) -> None:
    written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert written == reference.PAGES[name](), "run: python -m delphi_assets.reference"


def test_the_readme_is_short() -> None:
    assert text_of(README).count("\n") < MOST_LINES


def test_settings_and_columns_that_are_named_exist() -> None:
    sections = {
        name: {*section.model_fields}
        for name, field in Profile.model_fields.items()
        if isinstance(section := field.annotation, type) and issubclass(section, BaseModel)
    }
    columns = {
        table.name: {*(column.name for column in (*table.keys, *table.columns)), *table.formerly}
        for table in (*TABLES.values(), *VIEWS.values())
    }
    there = {
        name: sections.get(name, set()) | columns.get(name, set()) for name in {*sections, *columns}
    }
    found = re.findall(r"`([a-z_]+)\.([a-z_0-9]+)(?![\w./(])", EVERYTHING)
    named = [
        (where, name)
        for where, name in found
        if where in there and name not in ("md", "sql", "jsonl", "parquet", "csv")
    ]
    assert {"selection", "explain", "latents"} <= {where for where, _ in named}
    for where, name in named:
        assert name in there[where], f"{where}.{name}"


def test_files_that_are_named_exist() -> None:
    for file in set(
        re.findall(r"`((?:sql|delphi_assets|profiles|benchmarks)/[\w/.-]+)`", EVERYTHING)
    ):
        assert (ROOT / file).exists(), file


def test_every_table_statement_and_environment_variable_is_documented() -> None:
    shell = (sql_folder() / "lake.sql").read_text(encoding="utf-8")
    for path in definitions():
        assert f".read sql/{path.parent.name}/{path.name}\n" in shell
    assert {path.stem for path in (sql_folder() / "views").glob("*.sql")} == set(TABLES)
    modules = (ROOT / "delphi_assets").rglob("*.py")
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    variables = set(re.findall(r'^\w+_VARIABLE = "(\w+)"', code, re.MULTILINE))
    pattern = r"DELPHI_ASSETS_[A-Z]+"
    assert set(re.findall(pattern, EVERYTHING)) == variables
    assert set(re.findall(pattern, text_of(ROOT / "docs/profiles.md"))) == variables


def test_the_graph_of_the_documentation_is_that_of_the_assets() -> None:
    (graph,) = blocks(ASSETS, "mermaid")
    chains = [re.findall(r"\w+", line) for line in graph.splitlines()[1:]]
    drawn = {edge for chain in chains for edge in itertools.pairwise(chain)}
    real = {
        (dep.asset_key.to_user_string(), asset.key.to_user_string())
        for asset in defs.resolve_all_asset_specs()
        for dep in asset.deps
    }
    assert drawn <= real
    # What an asset reads over another one is not drawn again.
    assert real <= paths(drawn)


def paths(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Pairs of which the second can be reached from the first."""
    found = set(edges)
    while more := {(a, d) for a, b in found for c, d in edges if b == c} - found:
        found |= more
    return found


def test_every_asset_and_job_is_documented() -> None:
    page = text_of(ASSETS)
    for asset in defs.resolve_all_asset_specs():
        assert f"\n| {asset.key.to_user_string()} |" in page, asset.key
    for job in defs.get_repository_def().job_names:
        assert job == "__ASSET_JOB" or re.search(f"(`|--job ){job}\\b", EVERYTHING), job


def test_the_readme_names_every_command() -> None:
    for name in command_line.COMMANDS:
        assert f"`delphi-assets {name}" in text_of(README), name


def test_every_explainer_is_documented() -> None:
    page = text_of(ROOT / "docs" / "explainers.md")
    for name in EXPLAINERS.shipped():
        assert f"\n| `{name}` |" in page, name


def test_every_scorer_has_a_page() -> None:
    overview = text_of(ROOT / "docs" / "scorers.md")
    pages = {path.stem: path for path in (ROOT / "docs" / "scorers").glob("*.md")}
    assert set(pages) == set(SCORERS.shipped())
    for name, path in pages.items():
        assert f"\n| [`{name}`](scorers/{name}.md) |" in overview
        assert re.findall(r"^## (.+)$", text_of(path), re.MULTILINE) == SCORER_HEADINGS
        sources = text_of(path).partition("## Sources")[2]
        assert re.search(r"(19|20)\d\d, |arXiv:\d{4}\.\d{5}", sources), name


def quoted() -> list[str]:
    """First cells of the tables of messages."""
    page = prose(ROOT / "docs" / "troubleshooting.md")
    tables = re.findall(r"^\| message \|.*\n\|---\|---\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [cell for table in tables for cell in re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)]


def test_messages_that_are_quoted_are_in_the_code() -> None:
    assert len(quoted()) > 50
    for message in quoted():
        pieces = [piece for piece in message.split("...") if piece.strip()]
        pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
        assert any(pattern.search(one) for one in messages()), message


def test_failures_that_are_explained_are_those_there_are() -> None:
    page = text_of(ROOT / "docs" / "troubleshooting.md")
    (table,) = re.findall(r"^\| failure \|.*\n\|---\|---\|\n((?:\|.*\n)+)", page, re.MULTILINE)
    codes = {
        value for name, value in vars(failures).items() if name.isupper() and isinstance(value, str)
    }
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == codes


def test_reasons_that_are_quoted_are_in_the_statements() -> None:
    page = text_of(ROOT / "docs" / "troubleshooting.md")
    statements = "\n".join(path.read_text(encoding="utf-8") for path in sql_folder().rglob("*.sql"))
    rows = re.findall(r"^\|.*`(?:\w+\.reason|eligibility)`(.*)\|$", page, re.MULTILINE)
    reasons = [reason for row in rows for reason in re.findall(r"`([a-z_]+)`", row)]
    assert len(reasons) >= 3
    for reason in reasons:
        assert reason in statements, reason

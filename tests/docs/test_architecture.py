"""The map of the code: it names what there is, and the imports keep to it.

`make graph` prints what these tests look at.
"""

import re
from pathlib import Path

import pytest

from benchmarks import imports
from benchmarks.imports import Arrow, Module
from tests.parts.documents import ROOT, text_of

PAGE = ROOT / "docs" / "architecture.md"
MODULES = imports.read_modules()
ARROWS = imports.arrows(MODULES)
ROOMS = imports.read_rooms()
MOST_NAMES = 24


def section(title: str) -> str:
    return text_of(PAGE).partition(f"\n## {title}")[2].partition("\n## ")[0]


def room(name: str) -> str:
    return MODULES[name].room


def test_the_map_names_every_room_and_no_other() -> None:
    assert len(ROOMS) == len(set(ROOMS))
    assert set(ROOMS) == {module.room for module in MODULES.values()}


def test_files_of_the_map_are_there() -> None:
    named = [name for name in re.findall(r"`([^`\s]+)`", text_of(PAGE)) if "/" in name]
    assert len(named) > 40
    for name in named:
        assert (ROOT / name.removeprefix(".venv/")).exists() or name.startswith(".venv/"), name


def test_there_are_twelve_files_to_read_and_twelve_changes() -> None:
    listed = re.findall(r"^\d+\. `([\w/.]+)`: ", section("Twelve files"), re.MULTILINE)
    assert len(listed) == len(set(listed)) == 12
    rows = re.findall(r"^\| an? .*\| .*`.*\|$", section("Where to change what"), re.MULTILINE)
    assert len(rows) == 12


def test_no_circle_of_modules_folders_or_rooms() -> None:
    assert imports.cycle(ARROWS) == []
    assert imports.cycle(ARROWS, lambda name: imports.folder(MODULES[name])) == []
    assert imports.cycle(ARROWS, room) == []


def test_no_room_imports_one_behind_it() -> None:
    assert [str(arrow) for arrow in imports.climbs(ARROWS, MODULES, ROOMS)] == []


def test_no_stage_imports_another_one() -> None:
    assert len([module for module in MODULES.values() if module.is_stage]) > 7
    assert [str(arrow) for arrow in imports.between_stages(ARROWS, MODULES)] == []


def test_only_the_lake_knows_its_files_and_units() -> None:
    assert imports.reached_into(MODULES) == []


def test_only_what_others_call_takes_profile_and_lake_apart() -> None:
    assert imports.taken_apart(MODULES) == []


def test_the_library_has_few_names_at_its_top() -> None:
    assert len(imports.names_at_the_top()) <= MOST_NAMES


@pytest.fixture
def odd(tmp_path: Path) -> dict[str, Module]:
    """A library in which every rule is broken once."""
    files = {
        "delphi_assets/__init__.py": "",
        "delphi_assets/low/__init__.py": "from delphi_assets.low import inner",
        "delphi_assets/low/inner.py": "def later():\n    from delphi_assets.high import top",
        "delphi_assets/low/beside.py": "def make() -> StageReport: ...",
        "delphi_assets/high/__init__.py": "",
        "delphi_assets/high/top.py": "if TYPE_CHECKING:\n    from ..low.beside import make\n"
        "async def run(profile) -> StageReport: make(profile, lake.fs, Unit('weights', {}))",
        "delphi_assets/high/apart.py": "def _run(profile, lake, step): profile.run(lake, step)",
        "dagster_project/__init__.py": "import delphi_assets.high.top",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return imports.read_modules(tmp_path)


def test_what_is_out_of_order_is_found(odd: dict[str, Module]) -> None:
    found, top = imports.arrows(odd), "delphi_assets.high.top"
    climb = Arrow("delphi_assets.low.inner", top, 2)
    stages = Arrow(top, "delphi_assets.low.beside", 2)
    # Through the package, as to import low.beside runs low/__init__.py.
    assert set(imports.cycle(found)) == {top, "delphi_assets.low", "delphi_assets.low.inner"}
    assert set(imports.cycle(found, lambda name: odd[name].room)) == {"low", "high"}
    rooms = ["low", "high", "__init__", "dagster_project"]
    assert [arrow for arrow in imports.climbs(found, odd, rooms) if arrow.target == top] == [climb]
    assert imports.between_stages(found, odd) == [stages]
    assert imports.reached_into(odd) == [f"{top}:3 lake.fs", f"{top}:3 Unit('weights', {{}})"]
    assert imports.only_passing_on(odd, "profile") == [f"{top}.run"]
    assert imports.taken_apart(odd) == ["delphi_assets.high.apart._run"]

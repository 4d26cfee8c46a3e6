"""How the modules of the project import each other, and whether the rooms keep to their order.

    python -m benchmarks imports        (or: make graph)

In: the source of `delphi_assets` and `dagster_project`, parsed and never imported, and the table of
rooms in docs/architecture.md. Out: numbers and names, and what is wrong: nothing is in a house that
is in order; `tests/docs/test_architecture.py` holds that.

1. Every import is an arrow, also one inside a function or under TYPE_CHECKING. `from a import b`
   leads to the module a.b where there is one, else to a.
2. To import a.b.c runs a/b/__init__.py too: an arrow there from whoever is not in a.b himself. The
   root package is left out, as everybody is in it; it is the last of the rooms.
3. A room is what stands at the top of `delphi_assets`, a folder or a module; `dagster_project` is
   one. It may import the rooms before it in the table and none behind it.
4. A stage is a module, or a package, of which a public function returns a `StageReport`. A later
   stage reads the table of an earlier one and never its module.
5. Where files of a lake are, and how a unit is named, the room `lake` alone knows.
"""

import argparse
import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from benchmarks.parts.record import Measured, in_unit

ROOT = Path(__file__).parents[1]
LIBRARY, WIRING = "delphi_assets", "dagster_project"
FRONT_DOOR = "__init__"
"""The room of `delphi_assets/__init__.py`."""

_ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
_FILES = {"fs", "root"}
"""What of a lake or a storage nobody outside their room may ask for."""


class Arrow(NamedTuple):
    """One module importing another one, by their dotted names."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} -> {self.target}"


@dataclass(frozen=True)
class Module:
    """A file of Python code."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        """Its code."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of its syntax tree."""
        return list(ast.walk(ast.parse(self.text)))

    @property
    def package(self) -> str:
        """The package it is in; a package is in itself."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def room(self) -> str:
        """Its room, as docs/architecture.md names it."""
        first, _, rest = self.name.partition(".")
        return first if first == WIRING else rest.partition(".")[0] or FRONT_DOOR

    @property
    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Its functions, methods and inner ones too."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return (node for node in self.nodes if isinstance(node, kinds))

    @property
    def is_stage(self) -> bool:
        """Whether a public function of it returns a `StageReport`."""
        at_the_top = {*ast.iter_child_nodes(self.nodes[0])}
        returns = [
            one.returns for one in self.functions if one in at_the_top and one.name[0] != "_"
        ]
        return any(isinstance(of, ast.Name) and of.id == "StageReport" for of in returns)


Modules = Mapping[str, Module]


def read_modules(root: Path = ROOT) -> dict[str, Module]:
    """The modules of library and wiring, by name."""
    modules = {}
    for path in sorted(file for top in (LIBRARY, WIRING) for file in (root / top).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules[name] = Module(name, path)
    return modules


def read_rooms(root: Path = ROOT) -> list[str]:
    """The rooms in their order, from the first table of docs/architecture.md."""
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    return _ROW.findall(page.partition("## Rooms")[2].partition("\n## ")[0])


def arrows(modules: Modules) -> list[Arrow]:
    """Every import of a module by another one, once."""
    found: dict[tuple[str, str], Arrow] = {}
    for module in modules.values():
        for name, line in _imported(module, modules):
            for target in [name, *_packages_run(module, name)]:
                if target in modules and target != module.name:
                    found.setdefault((module.name, target), Arrow(module.name, target, line))
    return list(found.values())


def _imported(module: Module, modules: Modules) -> Iterator[tuple[str, int]]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in modules else base), node.lineno


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _packages_run(module: Module, imported: str) -> Iterator[str]:
    """The packages around what is imported that its importer is not in himself."""
    package = imported.rpartition(".")[0]
    while "." in package:
        if not f"{module.name}.".startswith(f"{package}."):
            yield package
        package = package.rpartition(".")[0]


def cycle(found: Iterable[Arrow], of: Callable[[str], str] = str) -> list[str]:
    """The members of one circle of modules, or of what they are in by `of`; none, where none is."""
    graph: dict[str, set[str]] = {}
    for arrow in found:
        if (source := of(arrow.source)) != (target := of(arrow.target)):
            graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(member) for member in error.args[1]]
    return []


def folder(module: Module) -> str:
    """The folder of a module; one at the top is by itself, the wiring is one with its assets."""
    if module.room == WIRING:
        return WIRING
    return module.name if module.package == LIBRARY else module.package


def climbs(found: Iterable[Arrow], modules: Modules, rooms: list[str]) -> list[Arrow]:
    """Imports of a room behind the importer's own; one that the map does not name is the last."""
    place = {room: number for number, room in enumerate([*rooms, *_unnamed(modules, rooms)])}
    return [
        arrow
        for arrow in found
        if place[modules[arrow.source].room] < place[modules[arrow.target].room]
    ]


def _unnamed(modules: Modules, rooms: list[str]) -> list[str]:
    return sorted({module.room for module in modules.values()} - {*rooms})


def between_stages(found: Iterable[Arrow], modules: Modules) -> list[Arrow]:
    """Imports of a stage by another one."""
    stages = [module for module in modules.values() if module.is_stage]

    def stage(name: str) -> str | None:
        for one in stages:
            if name == one.name or (one.package == one.name and name.startswith(f"{one.name}.")):
                return one.name
        return None

    return [
        arrow
        for arrow in found
        if None not in (ends := (stage(arrow.source), stage(arrow.target))) and len({*ends}) > 1
    ]


def reached_into(modules: Modules) -> list[str]:
    """Where `fs` or `root` of a lake is read, or a unit is made, outside the room `lake`."""
    outside = [module for module in modules.values() if module.room != "lake"]
    return [
        f"{module.name}:{node.lineno} {ast.unparse(node)}"
        for module in outside
        for node in module.nodes
        if (isinstance(node, ast.Attribute) and node.attr in _FILES)
        or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Unit"))
    ]


def only_passing_on(modules: Modules, parameter: str) -> list[str]:
    """Functions that take `parameter` and do nothing with it but give it to others."""
    return [
        f"{module.name}.{function.name}"
        for module in modules.values()
        for function in module.functions
        if parameter in parameters(function) and _only_passes(function, parameter)
    ]


def taking(modules: Modules, *names: str) -> list[str]:
    """Functions that take all of these parameters."""
    return [
        f"{module.name}.{function.name}"
        for module in modules.values()
        for function in module.functions
        if {*names} <= parameters(function)
    ]


def taken_apart(modules: Modules) -> list[str]:
    """Functions of one module's own that take profile and lake, where a place is both."""
    names = taking(modules, "profile", "lake")
    return [name for name in names if name.rpartition(".")[2].startswith("_")]


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Names of what a function takes."""
    arguments = function.args
    return {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _only_passes(function: ast.AST, parameter: str) -> bool:
    nodes = list(ast.walk(function))
    used = {node for node in nodes if isinstance(node, ast.Name) and node.id == parameter}
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    given = {
        value for call in calls for value in (*call.args, *(word.value for word in call.keywords))
    }
    return bool(used) and used <= given


def names_at_the_top(root: Path = ROOT) -> list[str]:
    """Files and folders of the library, without folders that hold no file."""
    return sorted(
        path.name
        for path in (root / LIBRARY).iterdir()
        if path.is_file() or any(file.suffix != ".pyc" for file in path.rglob("*.*"))
    )


def arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def measure(given: argparse.Namespace) -> Measured:
    """What the graph is."""
    modules = read_modules()
    found, rooms = arrows(modules), read_rooms()

    def room(name: str) -> str:
        return modules[name].room

    between = {(room(arrow.source), room(arrow.target)) for arrow in found}
    passing = only_passing_on(modules, "profile")
    largest = max(modules.values(), key=lambda module: module.text.count("\n"))
    wrong: dict[str, Sequence[object]] = {
        "rooms that the map lacks": _unnamed(modules, rooms),
        "a circle of modules": cycle(found),
        "a circle of folders": cycle(found, lambda name: folder(modules[name])),
        "a circle of rooms": cycle(found, room),
        "imports of a later room": climbs(found, modules, rooms),
        "stages importing stages": between_stages(found, modules),
        "reached into the lake": reached_into(modules),
        "profile and lake apart": taken_apart(modules),
    }
    return Measured(
        {
            **in_unit("modules", modules=len(modules)),
            **in_unit(
                "arrows",
                between_modules=len(found),
                between_rooms=sum(source != target for source, target in between),
            ),
            **in_unit("lines", largest_module=largest.text.count("\n")),
            **in_unit("names", at_the_top=len(names_at_the_top())),
            **in_unit(
                "functions",
                only_passing_profile_on=len(passing),
                taking_profile_and_lake=len(taking(modules, "profile", "lake")),
                taking_hookpoint_too=len(taking(modules, "profile", "lake", "hookpoint")),
            ),
        },
        {
            "rooms": rooms,
            "largest module": largest.name,
            "names at the top": names_at_the_top(),
            "only passing profile on": passing,
        },
        [f"{what}: {', '.join(map(str, members))}" for what, members in wrong.items() if members],
    )

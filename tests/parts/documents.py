"""The documentation as tests read it: pages, code, links, commands; and a lake to run it on."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat

from delphi_assets import load_profile
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import SelectionSettings
from tests.parts.random_lake import random_lake

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").rglob("*.md")))
NOTEBOOKS = tuple(sorted((ROOT / "notebooks").glob("*.ipynb")))

_PROGRAMS = ("make", "delphi-assets", "python", ".venv/bin/", "duckdb", "dg")


@cache
def text_of(page: Path) -> str:
    """A page's Markdown; of a notebook, its Markdown cells."""
    if page.suffix == ".ipynb":
        cells = nbformat.read(page, as_version=4).cells
        return "\n\n".join(str(cell.source) for cell in cells if cell.cell_type == "markdown")
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """What a page links to inside the project, images too."""
    targets = re.findall(r"\[[^\]]*\]\(\s*([^)\s]+)\s*\)", prose(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The fragments that a page's headings can be reached by, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    if page.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings}
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


def commands(page: Path) -> list[list[str]]:
    """Commands of a page, from `sh` blocks, indented lines and inline code, as lists of words.

    Assignments in front of a command, and those that are exported, are left out.
    """
    lines = [line for block in blocks(page, "sh") for line in _lines(block)]
    lines += re.findall(rf"^    ((?:{'|'.join(_PROGRAMS)})\S* .*)$", prose(page), re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", prose(page))
    lines += [" ".join(code.split()) for code in inline if code.startswith("delphi-assets ")]
    split = [shlex.split(line, comments=True) for line in lines]
    bare = [list(_without_assignments(words)) for words in split]
    return [words for words in bare if words and words[0] != "export"]


def _lines(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def _without_assignments(words: list[str]) -> Iterator[str]:
    begun = False
    for word in words:
        begun = begun or not re.match(r"[A-Z_]+=", word)
        if begun:
            yield word


@cache
def messages() -> list[str]:
    """Every text in the library's code, with a zero byte for each value that is put into it."""
    return [
        _message(node)
        for path in sorted((ROOT / "delphi_assets").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.JoinedStr | ast.Constant)
    ]


def _message(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts = [str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values]
    return "".join(parts)


def make_demo_lake(folder: Path) -> None:
    """A `lake` in `folder` that has the demo's run and hookpoint, with random data."""
    demo = load_profile("demo")
    data = random_lake(
        folder / "lake",
        n_tokens=6_000,
        ctx_len=demo.cache.cache_ctx_len,
        n_buckets=demo.cache.n_buckets,
        run="demo",
        hookpoint="layers.9",
    )
    selection = SelectionSettings(
        min_examples=8, n_examples_train=4, n_examples_test=4, n_non_activating=4, n_quantiles=2
    )
    describe_latents(data.profile, data.lake, "layers.9")
    near = data.profile.neighbours
    find_neighbours(data.profile, data.lake, "layers.9", "co-occurrence", near)
    select_examples(data.profile, data.lake, "layers.9", selection)
    # From here on the lake passes for one that the demo's own profile made.
    (folder / "lake/manifests/runs/demo.json").unlink()
    data.lake.claim_run("demo", demo.run_config())
    manifests = folder / "lake/manifests"
    for path in [*manifests.glob("activations/**/*.json"), *manifests.glob("windows/**/*.json")]:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        manifest["config"] = demo.hookpoint_config("layers.9")
        path.write_text(json.dumps(manifest), encoding="utf-8")

"""Tables and the plot of docs/truth.md, from the records of `truth`.

In: records. Out: the page with its tables between comments, and docs/truth.svg.

A run with `--parts`, `--judge` or `--explainer-model` measures some parts only: of each part the
last record counts.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from html import escape
from typing import Any, NamedTuple

from benchmarks.parts.record import Record

Row = dict[str, Any]

RELATIONS = {
    "other": "another latent's",
    "empty": "none",
    "parent": "too broad",
    "child": "too narrow",
    "sibling": "a sibling's",
    "condition_missing": "a condition missing",
    "condition_extra": "a condition too many",
}
_JUDGED = ("embedding", "surprisal", "simulation", "judge", "lexical")


class Measurement(NamedTuple):
    """Rows of a part, and where they are from."""

    rows: list[Row]
    record: Record


def measurements(records: Iterable[Record]) -> dict[str, Measurement]:
    """The last of each part."""
    found: dict[str, Measurement] = {}
    for one in sorted(records, key=lambda record: record.date):
        if one.benchmark == "truth":
            for part, rows in one.shown.items():
                assert isinstance(rows, list), "parts are shown as rows"
                found[part] = Measurement(rows, one)
    return found


def with_tables(page: str, records: Iterable[Record]) -> str:
    """The page with the tables that the records give."""
    parts = measurements(records)
    tables = {
        "above": _above(parts),
        "kinds": _kinds(parts),
        "sanity": _sanity(parts),
        "tests": _tests(parts),
        "found": _found(parts),
        "second": _seconds(parts),
    }
    for name, table in tables.items():
        place = re.compile(rf"(?<=<!-- truth: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        # A text in the place of the function would have its backslashes read.
        page, number = place.subn(partial(_as_it_is, table), page, 1)
        assert number == 1, f"the page has one place for the table {name!r}"
    return page


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _judges(parts: dict[str, Measurement]) -> Iterator[tuple[str, list[Row]]]:
    """Scorer and judge as the page names them, with their rows."""
    for part in _JUDGED:
        by_judge: dict[str, list[Row]] = {}
        for row in parts[part].rows if part in parts else ():
            by_judge.setdefault(f"`{row['scorer']}`, {_judge(row['judge'])}", []).append(row)
        yield from by_judge.items()


def _judge(name: str) -> str:
    return name.rsplit("/", 1)[-1].removeprefix("embedded:")


def _as_it_is(text: str, _: re.Match[str]) -> str:
    return text


def _above(parts: dict[str, Measurement]) -> str:
    rows = []
    for named, of in _judges(parts):
        shares = {row["relation"]: row for row in of if "share" in row and row["kind"] is None}
        cells = [_share(shares[one]) if one in shares else "" for one in RELATIONS]
        rows.append([named, max(row["n_latents"] for row in shares.values()), *cells])
    return _table(["scorer and judge", "latents", *RELATIONS.values()], rows)


def _share(row: Row) -> str:
    return f"{row['share']:.2f} ({row['share_low']:.2f} to {row['share_high']:.2f})"


def _kinds(parts: dict[str, Measurement]) -> str:
    """By kind, the true description's own score, and how often it is above another latent's."""
    named = dict(_judges(parts))
    kinds = sorted({row["kind"] for of in named.values() for row in of if row["kind"]})
    rows = []
    for kind in kinds:
        cells = []
        for of in named.values():
            scores = [row.get("score", row.get("own")) for row in of if row["kind"] == kind]
            shares = [r["share"] for r in of if r["kind"] == kind and r.get("relation") == "other"]
            told = [f"{value:.2f}" for value in scores if value is not None][:1]
            cells.append("; ".join([*told, *(f"{share:.2f}" for share in shares)]))
        rows.append([f"`{kind}`", *cells])
    return _table(["kind", *named], rows)


def _sanity(parts: dict[str, Measurement]) -> str:
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in parts["metrics"].rows:
        told = f"{row['falls']:.2f} by {row['by']:.3f}{'' if row['passes'] else ', **no**'}"
        cells.setdefault((row["metric"], row["design"]), {})[row["test"]] = told
    tests = sorted({row["test"] for row in parts["metrics"].rows}, reverse=True)
    rows = [
        [f"`{metric}`", design, *(of[test] for test in tests)]
        for (metric, design), of in sorted(cells.items(), key=lambda item: item[0][::-1])
    ]
    return _table(["metric", "windows", *tests], rows)


def _tests(parts: dict[str, Measurement]) -> str:
    rows = [
        [row["test"], row["text"], row["latents"], _recovered(row), f"{row['subject']:.2f}"]
        for part in ("texts", "explainers")
        for row in parts[part].rows
        if "test" in row and row["group"] == "all"
    ]
    return _table(["test", "what it is given", "latents", "called true", "called its own"], rows)


def _recovered(row: Row) -> str:
    return f"{row['recovered']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _found(parts: dict[str, Measurement]) -> str:
    """By explainer and windows; by kind for the middle one."""
    told = [
        row for part in ("explainers", "explainer") if part in parts for row in parts[part].rows
    ]
    told = [row for row in told if "explainer" in row]
    cells: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in told:
        shown = "" if row["explainer"] == "lexical" else ("yes" if row["activations"] else "no")
        case = (row["explainer"], row["sampler"], str(row["windows"]), shown)
        cells.setdefault(case, {})[row["group"]] = row
    groups = ("all", "no defects", "defects")
    rows = [
        [f"`{_judge(case[0])}`", *case[1:], *(_recovered(of[g]) if g in of else "" for g in groups)]
        for case, of in cells.items()
    ]
    first = _table(["explainer", "sampler", "windows", "activations shown", *groups], rows)
    usual = {case[0]: of for case, of in cells.items() if case[1:3] == ("quantiles", "20")}
    kinds = sorted({name for of in usual.values() for name in of if name.startswith("kind ")})
    by_kind = [
        [
            f"`{kind.removeprefix('kind ')}`",
            *(
                f"{of[kind]['recovered']:.2f} of {of[kind]['latents']}" if kind in of else ""
                for of in usual.values()
            ),
        ]
        for kind in kinds
    ]
    return first + "\n" + _table(["kind, 20 windows by quantiles", *map(_judge, usual)], by_kind)


def _seconds(parts: dict[str, Measurement]) -> str:
    rows = []
    for part, (_, one) in parts.items():
        cells = [one.numbers.get(f"{part}: {of}") for of in ("processor", "seconds")]
        values = [cell.value if cell else "" for cell in cells]
        rows.append([part, *values, one.machine.load, one.date[:10], one.commit[:10]])
    head = ["part", "processor seconds", "seconds", "load before it", "date", "commit"]
    return _table(head, rows)


_COLOURS = ("#1b6ca8", "#d1495b", "#2e933c", "#8f5db7", "#c27c0e", "#555555")
_LEFT, _WIDE, _LINE, _TOP = 170, 420, 11, 46


def plot(records: Iterable[Record]) -> str:
    """How often the true description is above a wrong one, with intervals, as SVG."""
    judges = list(_judges(measurements(records)))
    block = _LINE * (len(judges) + 1)
    parts, at = [], _TOP
    for number, (named, _) in enumerate(judges):
        x, y = 10 + 200 * (number % 3), 12 + 14 * (number // 3)
        label = escape(named.replace("`", ""))
        parts.append(_text(x + 10, y + 4, label) + _dot(x, y, _COLOURS[number % 6]))
    for relation, said in RELATIONS.items():
        parts.append(_text(10, at + block / 2, said))
        for number, (_, of) in enumerate(judges):
            for row in of:
                if row.get("relation") == relation and row["kind"] is None:
                    y = at + _LINE * (number + 1)
                    parts.append(_mark(row, y, _COLOURS[number % 6]))
        at += block
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        across = _LEFT + _WIDE * share
        stroke = "#888" if share == 0.5 else "#ddd"
        parts.insert(0, f'<path d="M{across:.0f} {_TOP}V{at}" stroke="{stroke}"/>')
        parts.append(_text(across - 8, at + 14, f"{share:g}"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="620" height="{at + 22}" '
        'font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def _mark(row: Row, y: float, colour: str) -> str:
    low, high, x = (_LEFT + _WIDE * row[name] for name in ("share_low", "share_high", "share"))
    return f'<path d="M{low:.1f} {y}H{high:.1f}" stroke="{colour}"/>' + _dot(x, y, colour)


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y}" r="3.5" fill="{colour}"/>'


def _text(x: float, y: float, said: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}">{said}</text>'

"""What the UI is given as Markdown: texts are escaped, and nothing is drawn where there is nothing.

The reading side is markdown-it with GitHub's rules, which the UI's own renderer follows as well.
"""

import html
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from dagster_project import glances, markdown, plots, previews
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.reading.rendering import visible
from delphi_assets.scorers.recall_by_strength import recall_curves
from delphi_assets.settings import load_profile
from tests.parts.hand_built import (
    HOOKPOINT,
    RUN,
    add,
    answers,
    explanation,
    latent,
    publish,
    window,
)

HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://a.b/c.png)",
    "[click](javascript:alert(1))",
    "**not bold** `not code` ~~no~~ | no cell",
    "http://a.com www.b.com a@b.com",
    "&lt; &#42; \\*",
    "# no heading\n- no list\n1. none",
)


def read(text: str | None) -> str:
    """HTML of one paragraph."""
    assert text is not None
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def text_of(shown: str) -> str:
    """What a reader sees of HTML, without the characters that have no width."""
    return re.sub("[\u2060\u200a]", "", html.unescape(re.sub("<[^>]*>", "", shown))).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_stands_for_itself(text: str) -> None:
    shown = read(markdown.escaped(text))
    assert set(re.findall("</?([a-z0-9]+)", shown)) == {"p"}
    assert text_of(shown) == visible(text).strip()


@given(st.text())
def test_any_text_stands_for_itself(text: str) -> None:
    shown = read("· " + markdown.escaped(text))
    assert set(re.findall("</?([a-z0-9]+)", shown)) == {"p"}
    inner = html.unescape(shown.removeprefix("<p>").removesuffix("</p>\n"))
    expected = "· " + re.sub("[\u2060]", "", visible(text))
    assert re.sub("[\u2060]", "", inner).rstrip() == expected.rstrip()


def test_no_address_becomes_a_link() -> None:
    """The UI links bare addresses, however their punctuation is escaped."""
    bare = re.compile(r"(https?://|www(?=\.))[-.\w]+|[-.\w+]+@[-\w]+\.", re.IGNORECASE)
    for text in HOSTILE:
        assert not bare.search(markdown.escaped(text).replace("\\", ""))


@pytest.mark.parametrize(
    ("tokens", "bold"),
    [
        (["in", "tern", "al"], "tern"),
        (["x", "(y", "z"], "(y"),
        (["a", " b ", "c"], "b"),
        (["*", "**", "*"], "**"),
        (["a", "<b>", "c"], "<b>"),
        (["a", "\n", "c"], "⏎"),
    ],
)
def test_marked_tokens_are_bold(tokens: list[str], bold: str) -> None:
    shown = read(markdown.window(tokens, [False, True, False]))
    (found,) = re.findall("<strong>(.*?)</strong>", shown)
    assert html.unescape(found) == bold
    assert text_of(shown) == visible("".join(tokens))


def test_tables_keep_their_cells() -> None:
    rows = pa.table({"a | b": ["<b>x</b> | y", None], "n": [1234, 5], "f": [0.12345, 1.0]})
    made = markdown.table(rows)
    assert made is not None
    shown = read(made.md_str)
    assert shown.count("<tr>") == 3
    assert "&lt;b&gt;x&lt;/b&gt; | y" in shown
    assert "1,234" in shown
    assert "0.123" in shown


def test_a_sparkline_shows_what_is_rare() -> None:
    assert markdown.sparkline([0, 1, 500, 1000]) == "·▁▄█"
    assert markdown.sparkline([]) == ""


def lake_of_latents(folder: Path) -> Lake:
    """Two latents, one explained by a hostile text and scored by counting."""
    lake = Lake(folder)
    lake.initialize()
    densities = {0: 0.01, 1: 0.02}
    rows = [
        latent(one, {HOSTILE[0]: 0.9}, token_density=density, max_activation=2.0, n_activations=9)
        for one, density in densities.items()
    ]
    publish(lake, "latents", [*rows, latent(2, {}, token_density=0.0, reason="dead")])
    shown = window(0, 0, "train", 0, [0.0, 2.0, 0.1], str_tokens=["a", HOSTILE[1], "c"])
    publish(lake, "examples", [shown], selection="default")
    add(lake, "explanations", [explanation("e", 0, HOSTILE[3])])
    given = answers("e", 0, [(True, 0.9), (True, 0.6), (False, 0.2)])
    bins = [{**row, "quantile": row["example"] if row["truth"] else None} for row in given]
    add(lake, "predictions", bins)
    return lake


def at_hand(lake: Lake) -> Place:
    """The hand-built lake's hookpoint, by the demo's profile."""
    profile = load_profile("demo")
    run = profile.run.model_copy(update={"name": RUN})
    return Place(profile.model_copy(update={"run": run}), lake, HOOKPOINT)


def test_previews_show_windows_and_escape_them(tmp_path: Path) -> None:
    lake = lake_of_latents(tmp_path)
    place = at_hand(lake)
    with connect(lake) as con:
        made = (
            previews.of_latents(con, place),
            previews.of_examples(con, place, "default"),
            previews.of_explanations(con, place, "default"),
        )
    for preview in made:
        assert preview is not None
        shown = read(preview.md_str)
        assert set(re.findall("</?([a-z0-9]+)", shown)) <= {"ul", "li", "strong", "em", "p"}
    _, examples, explanations = (read(preview.md_str) for preview in made if preview is not None)
    # The token fires at its strongest; the next one is below the threshold.
    assert "2 · a\u200a<strong>!" in examples
    assert f"<em>{HOSTILE[3]}</em>" in html.unescape(explanations)


def test_there_is_no_preview_of_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.initialize()
    place = at_hand(lake)
    with connect(lake) as con:
        assert previews.of_latents(con, place) is None
        assert previews.of_examples(con, place, "default") is None
        assert previews.of_explanations(con, place, "default") is None


PLACE = {"run": RUN, "hookpoint": HOOKPOINT}
SELECTED = {**PLACE, "selection": "default"}


def test_empty_tables_draw_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.initialize()
    with connect(lake) as con:
        densities = query(con, "analysis/firing_densities", **PLACE)
        bins = query(con, "ui/score_distributions", **SELECTED)
        assert plots.firing_densities(densities) is None
        assert plots.score_distributions(bins) is None
        assert plots.calibration(query(con, "ui/calibration", **SELECTED)) is None
        assert plots.f1_by_density(query(con, "ui/f1_by_density", **SELECTED)) is None
        assert plots.recall_by_strength(recall_curves(con, RUN, HOOKPOINT)) is None
        assert plots.cost_so_far(query(con, "ui/cost_so_far", run=RUN, n_points=9)) is None
    assert plots.capture_rates({"layers.0": []}) is None
    assert glances.firing_densities(densities) is None
    assert glances.scores(bins) is None
    assert glances.means(bins) == {}
    assert glances.capture_rates({}) is None
    assert markdown.table(bins) is None


def test_rows_draw_pictures_and_glances(tmp_path: Path) -> None:
    with connect(lake_of_latents(tmp_path)) as con:
        densities = query(con, "analysis/firing_densities", **PLACE)
        bins = query(con, "ui/score_distributions", **SELECTED)
        pictures = (
            plots.firing_densities(densities),
            plots.score_distributions(bins),
            plots.calibration(query(con, "ui/calibration", **SELECTED)),
            plots.f1_by_density(query(con, "ui/f1_by_density", **SELECTED)),
            plots.recall_by_strength(recall_curves(con, RUN, HOOKPOINT)),
            plots.capture_rates({"layers.0": [10.0, 20.0]}),
        )
    for picture in pictures:
        assert picture is not None
        assert str(picture.md_str).startswith("![")
    # Latents at 1% and 2% of tokens, in the quarter decades from 1% and from 1.8%.
    assert glances.firing_densities(densities) == "1% of tokens ██ 3.2%"
    assert glances.means(bins) == {"detection own, by lexical": 1.0}
    table = glances.scores(bins)
    assert table is not None
    (record,) = table.records
    assert record.data == {
        "scorer": "detection by lexical, balanced accuracy",
        "own": "1.000",
        "shuffled": "",
        "empty": "",
        "spread of own": f"{'·' * 20}█",
    }
    assert glances.capture_rates({"layers.0": [10.0, 20.0]}) == "layers.0 ▄█ 10 to 20"

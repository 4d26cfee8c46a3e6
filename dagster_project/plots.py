"""Pictures for the Dagster UI.

In: small Arrow tables from `sql/ui/` and `sql/analysis/`. Out: Markdown metadata, a picture as a
data URI; None where there is nothing to draw. Matplotlib is imported when something is drawn.
"""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from dagster_project import markdown
from delphi_assets.scorers.recall_by_strength import RecallCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _GRID = "#444444", "#dddddd"
_OWN, _SHUFFLED, _EMPTY = "#1f6f8b", "#d98d3a", "#8c8c8c"
_CONTROLS = (
    ("none", "own", _OWN),
    ("shuffled", "shuffled", _SHUFFLED),
    ("empty", "empty", _EMPTY),
)
_CHANCE = {"balanced_accuracy": 0.5, "auroc": 0.5, "accuracy": 0.5, "correlation": 0.0}
_PANEL_WIDTH, _HEIGHT, _DPI, _TITLE, _COLUMNS = 4.2, 2.7, 80, 9, 2


def firing_densities(bins: pa.Table) -> dg.MarkdownMetadataValue | None:
    """Histogram of the firing density of live latents (rows of `analysis/firing_densities`)."""
    live = [row for row in bins.to_pylist() if row["log10_density"] is not None]
    dead = sum(row["n_latents"] for row in bins.to_pylist() if row["log10_density"] is None)
    if not live:
        return None
    figure, (axes,) = _panels(1)
    lefts = [row["log10_density"] for row in live]
    axes.bar(
        lefts,
        [row["n_latents"] for row in live],
        width=0.25,
        align="edge",
        color=_OWN,
        edgecolor="white",
        linewidth=0.5,
    )
    axes.set_xlabel("log10 share of tokens on which a latent fires")
    axes.set_ylabel("latents")
    axes.set_title(
        f"{sum(row['n_latents'] for row in live):,} live latents, {dead:,} dead", fontsize=_TITLE
    )
    return _markdown(figure, "firing densities")


def capture_rates(rates: Mapping[str, Sequence[float]]) -> dg.MarkdownMetadataValue | None:
    """Tokens a second over the token shards, a line a hookpoint."""
    drawn = {hookpoint: values for hookpoint, values in rates.items() if values}
    if not drawn:
        return None
    figure, (axes,) = _panels(1)
    for hookpoint, values in drawn.items():
        axes.plot(range(len(values)), values, marker="o", markersize=3, label=hookpoint)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("token shard")
    axes.set_ylabel("tokens a second")
    axes.set_title("speed of capturing", fontsize=_TITLE)
    axes.legend(frameon=False, fontsize=7)
    return _markdown(figure, "tokens a second over shards")


def score_distributions(bins: pa.Table) -> dg.MarkdownMetadataValue | None:
    """Scores of every scorer, own against its floors (rows of `ui/score_distributions`).

    Bars are the scores of own explanations; lines are those of the floors, with the mean of each
    as a dashed line. A dotted line is what a judge gets that knows nothing.
    """
    rows = [row for row in bins.to_pylist() if row["score_from"] is not None]
    kinds = sorted({(row["scorer"], row["judge"], row["metric"]) for row in rows})
    if not kinds:
        return None
    figure, panels = _panels(len(kinds))
    for axes, (scorer, judge, metric) in zip(panels, kinds, strict=True):
        of_kind = [row for row in rows if (row["scorer"], row["judge"]) == (scorer, judge)]
        for control, label, color in _CONTROLS:
            _draw_scores(axes, [r for r in of_kind if r["control"] == control], label, color)
        chance = next((r["chance"] for r in of_kind if r["chance"] is not None), _CHANCE[metric])
        axes.axvline(chance, color=_INK, linewidth=1, linestyle=":")
        axes.set_xlim(min(0.0, *(row["score_from"] for row in of_kind)), 1.05)
        _leave_room(axes, of_kind)
        axes.set_xlabel(metric.replace("_", " "))
        axes.set_ylabel("% of explanations")
        axes.set_title(f"{scorer}, judged by {short(judge)}", fontsize=_TITLE)
        _legend_own_first(axes)
    return _markdown(figure, "score distributions")


def _leave_room(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Above the bars for the legend; the floor `empty`, often a single value, may be cut off."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if row["control"] != "empty":
            counts.setdefault(row["control"], []).append(row["n_scores"])
    highest = max((100 * max(found) / sum(found) for found in counts.values()), default=100)
    axes.set_ylim(0, 1.6 * highest)


def _legend_own_first(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: not labels[at].startswith("own"))
    axes.legend(
        [handles[at] for at in order],
        [labels[at] for at in order],
        frameon=False,
        fontsize=7,
        loc="upper left",
    )


def _draw_scores(axes: Any, rows: Sequence[Mapping[str, Any]], label: str, color: str) -> None:
    total = sum(row["n_scores"] for row in rows)
    if not total:
        return
    lefts = [row["score_from"] for row in rows]
    shares = [100 * row["n_scores"] / total for row in rows]
    mean = rows[0]["mean"]
    said = f"{label}, mean {mean:.2f} ({total:,})"
    if label == _CONTROLS[0][1]:
        axes.bar(lefts, shares, width=0.05, align="edge", color=color, alpha=0.8, label=said)
    else:
        # An outline needs every bin, the empty ones too.
        at = dict(zip((round(20 * left) for left in lefts), shares, strict=True))
        first, last = min(at), max(at)
        heights = [at.get(number, 0.0) for number in range(first, last + 1)]
        edges = [number / 20 for number in range(first, last + 2)]
        axes.stairs(heights, edges, color=color, linewidth=1.3, label=said)
    axes.axvline(mean, color=color, linewidth=1, linestyle="--")


def calibration(bins: pa.Table) -> dg.MarkdownMetadataValue | None:
    """Reliability diagram (rows of `ui/calibration`): on the diagonal a judge is calibrated.

    The area of a point is its share of the answers.
    """
    rows = bins.to_pylist()
    kinds = sorted({(row["scorer"], row["judge"]) for row in rows})
    if not kinds:
        return None
    figure, panels = _panels(len(kinds))
    for axes, (scorer, judge) in zip(panels, kinds, strict=True):
        of_kind = [row for row in rows if (row["scorer"], row["judge"]) == (scorer, judge)]
        said = [row["mean_probability"] for row in of_kind]
        true = [row["share_true"] for row in of_kind]
        total = sum(row["n_answers"] for row in of_kind)
        error = sum(
            row["n_answers"] / total * abs(row["mean_probability"] - row["share_true"])
            for row in of_kind
        )
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":")
        axes.plot(said, true, color=_OWN, linewidth=1)
        axes.scatter(said, true, [4 + 200 * row["n_answers"] / total for row in of_kind], _OWN)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability given")
        axes.set_ylabel("share true")
        axes.set_title(
            f"{scorer}, judged by {short(judge)}\n{total:,} answers, off by {error:.2f} on average",
            fontsize=_TITLE,
        )
    return _markdown(figure, "calibration")


def recall_by_strength(curves: Sequence[RecallCurve]) -> dg.MarkdownMetadataValue | None:
    """What explanations find of each rank bin of windows, a panel a scorer and judge.

    Own explanations with their interval, those of other latents as a dashed line, and what own ones
    claim of silent windows as a dotted one.
    """
    # An empty text has no explainer, and is found in all windows or in none.
    kinds = sorted({curve[1:6] for curve in curves if curve.control != "empty"})
    if not kinds:
        return None
    figure, panels = _panels(len(kinds))
    for axes, kind in zip(panels, kinds, strict=True):
        by_control = {curve.control: curve for curve in curves if curve[1:6] == kind}
        for control, label, color in _CONTROLS:
            if control in by_control:
                _draw_recall(axes, by_control[control], label, color)
        _, model, scorer, judge, _ = kind
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("rank bin of the window, 1 the strongest")
        axes.set_ylabel("share found")
        axes.set_title(f"{short(model)}: {scorer}, judged by {short(judge)}", fontsize=_TITLE)
        axes.legend(frameon=False, fontsize=7)
    return _markdown(figure, "recall by strength")


def _draw_recall(axes: Any, curve: RecallCurve, label: str, color: str) -> None:
    at = [found.quantile + 1 for found in curve.found]
    own = curve.control == "none"
    axes.plot(
        at,
        [found.share for found in curve.found],
        color=color,
        linestyle="-" if own else "--",
        marker="o" if own else None,
        markersize=3,
        label=label,
    )
    if not own:
        return
    axes.fill_between(
        at,
        [found.share if found.low is None else found.low for found in curve.found],
        [found.share if found.high is None else found.high for found in curve.found],
        color=color,
        alpha=0.2,
        linewidth=0,
    )
    axes.set_xticks(at)
    if curve.claimed is not None:
        axes.axhline(
            curve.claimed, color=_INK, linewidth=1, linestyle=":", label="of silent windows"
        )


def f1_by_density(bins: pa.Table) -> dg.MarkdownMetadataValue | None:
    """F1 over how often a latent fires: median and quartiles (rows of `ui/f1_by_density`)."""
    rows = bins.to_pylist()
    kinds = sorted({(row["scorer"], row["judge"]) for row in rows})
    if not kinds:
        return None
    figure, (axes,) = _panels(1)
    for number, (scorer, judge) in enumerate(kinds):
        of_kind = [row for row in rows if (row["scorer"], row["judge"]) == (scorer, judge)]
        # The middle of a half decade.
        at = [row["log10_density"] + 0.25 for row in of_kind]
        color = f"C{number}"
        axes.fill_between(
            at,
            [row["lower_quartile"] for row in of_kind],
            [row["upper_quartile"] for row in of_kind],
            color=color,
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(
            at,
            [row["median_f1"] for row in of_kind],
            color=color,
            marker="o",
            markersize=3,
            label=f"{scorer}, {short(judge)}",
        )
    axes.set_ylim(0, 1)
    axes.set_xlabel("log10 share of tokens on which a latent fires")
    axes.set_ylabel("F1: median, quartiles")
    axes.set_title("F1 against density", fontsize=_TITLE)
    axes.legend(frameon=False, fontsize=7)
    return _markdown(figure, "F1 against density")


def cost_so_far(points: pa.Table) -> dg.MarkdownMetadataValue | None:
    """Dollars and tokens of all LLM calls of the run over time (rows of `ui/cost_so_far`)."""
    rows = points.to_pylist()
    if not rows:
        return None
    figure, (dollars, tokens) = _panels(2)
    for model in sorted({row["model"] for row in rows}):
        of_model = [row for row in rows if row["model"] == model]
        when, last = [row["until"] for row in of_model], of_model[-1]
        priced = f"{short(model)}: ${last['cost']:,.4f}" + (
            f", {last['n_unpriced']:,} calls at an unknown price" if last["n_unpriced"] else ""
        )
        dollars.plot(when, [row["cost"] for row in of_model], label=priced)
        used = f"{short(model)}: {last['n_tokens']:,}, {last['n_calls']:,} calls"
        tokens.plot(when, [row["n_tokens"] for row in of_model], label=used)
    for axes, name in ((dollars, "US dollars"), (tokens, "tokens to and from LLMs")):
        axes.set_ylim(bottom=0)
        axes.set_ylabel(name)
        axes.set_title(f"{name} so far", fontsize=_TITLE)
        axes.legend(frameon=False, fontsize=7, loc="upper left")
        axes.tick_params(axis="x", rotation=30)
    return _markdown(figure, "cost so far")


def short(model: str) -> str:
    """The name of a model without its provider."""
    return model.rsplit("/", 1)[-1].removeprefix("embedded:")


def _panels(count: int) -> tuple["Figure", list[Any]]:
    """A figure of so many panels, `_COLUMNS` in a row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    size = (_PANEL_WIDTH * columns, _HEIGHT * rows)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    panels = [axes for row in grid for axes in row]
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[:count]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7, colors=_INK)
        axes.grid(axis="y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
    return figure, panels[:count]


def _markdown(figure: "Figure", name: str) -> dg.MarkdownMetadataValue:
    png = io.BytesIO()
    figure.savefig(png, format="png", pil_kwargs={"optimize": True})
    return markdown.picture(png.getvalue(), name)

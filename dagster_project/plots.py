"""Pictures and tables for the Dagster UI, as Markdown.

In: small Arrow tables from `sql/analysis/`. Out: Markdown metadata, a picture as a data URI; None
where there is nothing to draw. Matplotlib is imported when something is drawn.
"""

import base64
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _GRID = "#444444", "#dddddd"
_OWN, _SHUFFLED, _EMPTY = "#1f6f8b", "#d98d3a", "#8c8c8c"
_CONTROLS = (
    ("none", "own", _OWN),
    ("shuffled", "shuffled", _SHUFFLED),
    ("empty", "empty", _EMPTY),
)
_PANEL_WIDTH, _HEIGHT, _DPI, _TITLE = 4.2, 2.7, 80, 9


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


def score_distributions(bins: pa.Table) -> dg.MarkdownMetadataValue | None:
    """Balanced accuracy, own against its floors (rows of `analysis/score_distribution`)."""
    rows = [row for row in bins.to_pylist() if row["balanced_accuracy"] is not None]
    if not rows:
        return None
    kinds = sorted({(row["scorer"], row["model"]) for row in rows})
    figure, panels = _panels(len(kinds))
    for axes, (scorer, model) in zip(panels, kinds, strict=True):
        for control, label, color in _CONTROLS:
            drawn = [
                row
                for row in rows
                if (row["scorer"], row["model"], row["control"]) == (scorer, model, control)
            ]
            total = sum(row["n_scores"] for row in drawn)
            if not total:
                continue
            axes.bar(
                [row["balanced_accuracy"] for row in drawn],
                [100 * row["n_scores"] / total for row in drawn],
                width=0.05,
                align="edge",
                color=color,
                alpha=0.65,
                label=f"{label} ({total:,})",
            )
        axes.axvline(0.5, color=_INK, linewidth=1, linestyle=":")
        axes.set_xlim(0, 1.05)
        axes.set_xlabel("balanced accuracy")
        axes.set_ylabel("% of explanations")
        axes.set_title(f"{scorer}, judged by {model.rsplit('/', 1)[-1]}", fontsize=_TITLE)
        axes.legend(frameon=False, fontsize=7, loc="upper left")
    return _markdown(figure, "balanced accuracy")


def table(rows: pa.Table) -> dg.MarkdownMetadataValue | None:
    """`rows` as a Markdown table."""
    if not rows.num_rows:
        return None
    lines = [_line(rows.column_names), _line("---" for _ in rows.column_names)]
    lines += [_line(map(_cell, row.values())) for row in rows.to_pylist()]
    return dg.MetadataValue.md("\n".join(lines))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _panels(count: int) -> tuple["Figure", list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PANEL_WIDTH * count, _HEIGHT), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7, colors=_INK)
        axes.grid(axis="y", color=_GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.xaxis.label.set_fontsize(8)
        axes.yaxis.label.set_fontsize(8)
    return figure, panels


def _markdown(figure: "Figure", name: str) -> dg.MarkdownMetadataValue:
    png = io.BytesIO()
    figure.savefig(png, format="png")
    data = base64.b64encode(png.getvalue()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/png;base64,{data})")

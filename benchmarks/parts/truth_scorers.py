"""How often scorers give the true description of a planted latent a higher score than a wrong one.

In: a planted run, scorers, and how many latents and windows each judges. Out: rows of
`sql/analysis/true_above_wrong.sql`, and the true descriptions' own scores by kind.

1. Each relation of the table planted (true, parent, child, sibling, a condition missing or too
   many, another latent's) is an explainer whose texts are the first description of that relation.
2. Every scorer judges each of them on the same test windows, and the empty text. What is in the
   lake is not asked again, so a run that was stopped goes on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import delphi_assets as da
from benchmarks.parts.truth_lake import Planted
from delphi_assets import connect, query

Row = dict[str, Any]
RELATIONS = ("parent", "child", "sibling", "condition_missing", "condition_extra", "other")
FOUR = ("parent", "child", "sibling", "other")

OWN = """
    select
        scored.scorer,
        scored.judge,
        planted.kind,
        count(*) as n_latents,
        avg(scored.score) as score
    from scored_latents as scored
    inner join planted using (run, hookpoint, latent)
    where
        run = $run and hookpoint = $hookpoint and scored.selection = $selection
        and scored.explainer = 'planted_true' and planted.relation = 'true'
        and scored.score is not null
    group by grouping sets ((scored.scorer, scored.judge), (scored.scorer, scored.judge, kind))
    order by scored.scorer, scored.judge, planted.kind nulls first
"""


class Asked(NamedTuple):
    """Scorers of one judge, and how much each of them judges."""

    scorers: tuple[str, ...]
    latents: int
    windows: int
    """Of each kind, activating and silent."""
    settings: Mapping[str, Any]
    """Of the section score."""
    relations: tuple[str, ...] = RELATIONS
    """Wrong ones that are judged."""

    @property
    def selection(self) -> str:
        """Name of the selection that has these windows and descriptions."""
        return f"truth-{self.windows}-{len(self.relations)}"


def judge(planted: Planted, asked: Asked) -> list[Row]:
    """Have descriptions judged; the comparison of true and wrong ones, by relation and kind."""
    latents = [known.latent for known in planted.known]
    hookpoint = planted.select(
        asked.selection,
        latents,
        n_examples_train=1,
        n_examples_test=asked.windows,
        n_non_activating=asked.windows,
    )
    for relation, texts in descriptions(planted, set(latents[: asked.latents])).items():
        if relation in ("true", *asked.relations):
            name = f"planted_{relation}"
            da.register_explainer(name, texts)
            hookpoint.explain(sorted(texts), explainer=name)
    # All at once: a judge that runs here is loaded once.
    hookpoint.score(
        latents[: asked.latents],
        explainer="all",
        scorers=asked.scorers,
        controls=("empty",),
        **asked.settings,
    )
    return above(planted, asked.selection, asked.scorers)


def descriptions(planted: Planted, latents: set[int]) -> dict[str, dict[int, str]]:
    """The first description of each relation, by latent."""
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    texts["true"] = {one.latent: one.text for one in planted.known if one.latent in latents}
    for relation, latent, text in planted.wrong():
        if latent in latents:
            texts[relation].setdefault(latent, text)
    return dict(texts)


def above(planted: Planted, selection: str, scorers: Sequence[str]) -> list[Row]:
    """Rows of `true_above_wrong` about some scorers on a selection."""
    with connect(planted.lake) as con:
        rows = query(con, "analysis/true_above_wrong", **planted.place).to_pylist()
    return [row for row in rows if row["selection"] == selection and row["scorer"] in scorers]


def own_scores(planted: Planted, asked: Asked) -> list[Row]:
    """Mean score of the true descriptions by scorer and kind; kind is None for all."""
    with connect(planted.lake) as con:
        rows = con.execute(OWN, {**planted.place, "selection": asked.selection}).fetchall()
    names = ("scorer", "judge", "kind", "n_latents", "score")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [row for row in found if row["scorer"] in asked.scorers]

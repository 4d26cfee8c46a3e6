"""How often the lexical judge gives a latent's own notation a higher score than a relative's.

In: a planted run. Out: rows by scorer, relation and kind, as those of the other scorers.

The lexical judge reads nothing but the lexical explainer's notation, so planted sentences are no
question for it. In their place stands what the explainer writes of up to 40 windows of a latent,
which share none with the test windows; a wrong description is the notation of another planted
latent (`truth_relatives`), and the explanation that says nothing.
"""

from typing import Any

import delphi_assets as da
from benchmarks.parts.truth_lake import Planted
from benchmarks.parts.truth_relatives import relatives
from delphi_assets import connect
from delphi_assets.reading.lexical import EMPTY, explain, read_counts

SELECTION, OWN = "truth-lexical-40", "lexical_own"
TRAIN, WINDOWS = 40, 20
"""Train windows that a notation is made of, and test windows of each kind."""

SCORED = """
    with scored as (
        select scored.scorer, scored.judge, scored.explainer, scored.latent, scored.score, kind
        from scored_latents as scored
        inner join planted using (run, hookpoint, latent)
        where
            run = $run and hookpoint = $hookpoint and scored.selection = $selection
            and planted.relation = 'true' and scored.score is not null
    ),

    compared as (
        select
            own.scorer,
            own.judge,
            own.kind,
            substr(other.explainer, 9) as relation,
            (own.score > other.score)::int + (own.score = other.score)::int / 2 as is_higher,
            own.score - other.score as higher_by,
            own.score
        from scored as own
        inner join scored as other
            on own.scorer = other.scorer and own.judge = other.judge
            and own.latent = other.latent
            and own.explainer = $own and other.explainer <> $own
    )

    select
        scorer,
        judge,
        relation,
        kind,
        count(*) as n_latents,
        avg(is_higher) as share,
        wilson(avg(is_higher), count(*)).low as share_low,
        wilson(avg(is_higher), count(*)).high as share_high,
        avg(higher_by) as higher_by,
        avg(score) as own
    from compared
    group by grouping sets ((scorer, judge, relation), (scorer, judge, relation, kind))
    order by scorer, judge, relation, kind nulls first
"""


def many_windows(planted: Planted) -> da.Hookpoint:
    """The selection of which notations are made."""
    return planted.select(
        SELECTION,
        [known.latent for known in planted.known],
        n_examples_train=TRAIN,
        train_type="random",
        n_examples_test=WINDOWS,
        n_non_activating=WINDOWS,
    )


def judge(planted: Planted, n_latents: int) -> list[dict[str, Any]]:
    """Have notations judged by detection and fuzz."""
    hookpoint = many_windows(planted)
    counts = read_counts(planted.lake, planted.run)
    said = {latent.latent: explain(latent, counts) for latent in hookpoint.latents()}
    asked = [known.latent for known in planted.known[:n_latents]]
    notations: dict[str, dict[int, str]] = {OWN: {latent: said[latent] for latent in asked}}
    for relation, other in relatives(planted).items():
        texts = {latent: said[other[latent]] for latent in asked if latent in other}
        notations[f"lexical_{relation}"] = texts
    notations["lexical_empty"] = dict.fromkeys(asked, EMPTY)
    for name, texts in notations.items():
        if texts:
            da.register_explainer(name, texts)
            hookpoint.explain(sorted(texts), explainer=name)
    hookpoint.score(
        asked,
        explainer="all",
        scorers=("detection", "fuzz"),
        scorer_model="lexical",
        controls=(),
    )
    named = {**planted.place, "selection": SELECTION, "own": OWN}
    with connect(planted.lake) as con:
        found = con.sql(SCORED, params=named).to_arrow_table().to_pylist()
    return list(found)

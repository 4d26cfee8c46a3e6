"""How often an explainer finds the description of a planted latent.

In: a planted run, and an LLM where one explains. Out: shares of latents whose description is
recovered, by explainer, sampler, number of train windows, kind and defects, and how often the tests
that say so are right (`truth_matching`).

1. A selection for each sampler and number of windows, the same for all explainers. Explanations by
   an LLM stay in the lake: what is there is not asked for again.
2. `lexical` writes a notation, which is matched by windows; windows that it was shown do not count.
3. An LLM writes a sentence, with and without the activations beside the windows, which is matched
   by text.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import delphi_assets as da
from benchmarks.parts.shares import wilson
from benchmarks.parts.truth_lake import Known, Planted
from benchmarks.parts.truth_lexical import TRAIN, many_windows
from benchmarks.parts.truth_matching import ByText, ByWindows, Match, second_descriptions
from benchmarks.parts.truth_relatives import relatives
from delphi_assets import connect
from delphi_assets.reading.lexical import explain, read_counts


class Shown(NamedTuple):
    """Which train windows an explainer sees."""

    sampler: str
    windows: int
    activations: bool = True
    """Whether an LLM sees how strong each token is; counting always does."""

    @property
    def selection(self) -> str:
        """Name of the selection that has them: the same windows, under a name for each prompt."""
        return f"truth-{self.sampler}-{self.windows}{'' if self.activations else '-bare'}"


VARIANTS = (
    Shown("quantiles", 10),
    Shown("quantiles", 20),
    Shown("quantiles", 40),
    Shown("top", 20),
    Shown("random", 20),
)

WRITTEN = """
    select latent, explanation
    from explanations
    where
        run = $run and hookpoint = $hookpoint and selection = $selection
        and explainer_model = $model and explanation is not null
    order by latent
"""
Row = dict[str, Any]


def lexical_recovered(planted: Planted) -> list[Row]:
    """How often counting finds the latent, and how often the test by windows is right."""
    counts, known = read_counts(planted.lake, planted.run), planted.known
    exact = list(many_windows(planted).latents())
    test = ByWindows(planted, exact)
    said = {record.latent: explain(record, counts) for record in exact}
    own = {latent: test.match(latent, text) for latent, text in said.items()}
    rows = list(_rows({"test": "by windows", "text": f"own, {TRAIN} windows"}, own, planted))
    for relation, other in relatives(planted).items():
        found = {latent: test.match(latent, said[one]) for latent, one in other.items()}
        rows += _rows({"test": "by windows", "text": relation}, found, planted, whole=True)
    for shown in VARIANTS:
        found = {}
        for record in _hookpoint(planted, shown, known).latents():
            places = {example.position for example in record.train}
            found[record.latent] = test.match(record.latent, explain(record, counts), places)
        rows += _rows({"explainer": "lexical", **shown._asdict()}, found, planted)
    return rows


def texts_matched(planted: Planted) -> list[Row]:
    """How often the test by text is right about second and about wrong descriptions."""
    test = ByText(planted)
    rows: list[Row] = []
    second = second_descriptions(planted.known)
    found = dict(zip(second, test.matches(list(second.items())), strict=True))
    rows += _rows({"test": "by text", "text": "true, in other words"}, found, planted)
    by_relation: dict[str, dict[int, str]] = defaultdict(dict)
    for relation, latent, text in test.wrong:
        by_relation[relation].setdefault(latent, text)
    for relation, texts in by_relation.items():
        matches = test.matches(list(texts.items()), without=True)
        found = dict(zip(texts, matches, strict=True))
        rows += _rows({"test": "by text", "text": relation}, found, planted, whole=True)
    return rows


def llm_recovered(planted: Planted, model: str, n_latents: int) -> list[Row]:
    """How often an LLM's sentences find the latents, with activations in the prompt and without."""
    test, latents = ByText(planted), [one.latent for one in planted.known[:n_latents]]
    rows: list[Row] = []
    for shown in (*VARIANTS, *(one._replace(activations=False) for one in VARIANTS)):
        texts = _written(planted, shown, latents, model)
        found = dict(zip(texts, test.matches(list(texts.items())), strict=True))
        rows += _rows({"explainer": model, **shown._asdict()}, found, planted)
    return rows


def _written(planted: Planted, shown: Shown, latents: list[int], model: str) -> dict[int, str]:
    """What the LLM says of each latent, asking for what is missing."""
    _hookpoint(planted, shown, planted.known).explain(
        latents,
        explainer="default",
        explainer_model=model,
        show_activations=shown.activations,
    )
    named = {**planted.place, "selection": shown.selection, "model": model}
    with connect(planted.lake) as con:
        return dict(con.execute(WRITTEN, named).fetchall())


def _hookpoint(planted: Planted, shown: Shown, known: Iterable[Known]) -> da.Hookpoint:
    return planted.select(
        shown.selection,
        [one.latent for one in known],
        n_examples_train=shown.windows,
        train_type=shown.sampler,
        n_examples_test=1,
        n_non_activating=1,
    )


def _rows(
    said: Mapping[str, Any], found: Mapping[int, Match], planted: Planted, *, whole: bool = False
) -> Iterator[Row]:
    """Shares over all latents and, unless `whole`, over those of each kind and with defects."""
    straying, groups = planted.straying(), defaultdict(list)
    for one in planted.known:
        if one.latent in found:
            groups["all"].append(found[one.latent])
            if not whole:
                groups["defects" if one.latent in straying else "no defects"].append(
                    found[one.latent]
                )
                groups[f"kind {one.kind}"].append(found[one.latent])
    for group, matches in groups.items():
        share = sum(match.recovered for match in matches) / len(matches)
        subject = sum(match.subject for match in matches) / len(matches)
        low, high = wilson(share, len(matches))
        yield {
            **said,
            "group": group,
            "latents": len(matches),
            "recovered": share,
            "low": low,
            "high": high,
            "subject": subject,
        }

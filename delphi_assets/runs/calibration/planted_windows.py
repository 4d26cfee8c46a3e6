"""Where a judge is calibrated: a planted run on the profile's contexts, and a selection of it.

In: a profile whose judge is an LLM, and the name of a planted run. Out: a `Bench`, the planted run
with the profile's judge and few windows a latent.

1. The planted run is made where it is not there, with the contexts that it needs.
2. A selection of its own is drawn: so many test windows of either kind, as the profile draws them.
   Its name holds a hash of what it was drawn with, so another profile gets another one.
3. Descriptions of planted latents become explanations, by explainers named `planted_<relation>`.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from delphi_assets.caching.planting.copied_corpus import FROM
from delphi_assets.caching.planting.planted_coder import HOOKPOINT
from delphi_assets.caching.planting.predicates import SHIPPED, read_predicates
from delphi_assets.errors import ConflictError, NotReadyError
from delphi_assets.explainers import registry
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake import database
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import vocabulary_unit
from delphi_assets.reading.records import SelectionPlace
from delphi_assets.runs import library
from delphi_assets.runs.calibration.ways import Way
from delphi_assets.runs.order import Step
from delphi_assets.runs.planting import plant_run
from delphi_assets.scorers.predictions import scorer_of
from delphi_assets.scorers.work.scorer import Scorer, hash_of
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import (
    ExplainSettings,
    Profile,
    SelectionSettings,
    override,
    profile_of_run,
)

_BY_WEIGHTS = {"decoder", "encoder"}
"""Sources of silent windows that a planted run has not: there is no coder."""


class Description(NamedTuple):
    """What is said of a planted latent."""

    place: int
    """Of its latent, in the order in which they are asked about."""
    latent: int
    relation: str
    """true, or how it is wrong."""
    text: str


class Bench(SelectionPlace):
    """The planted run with the profile's judge, at a selection of few windows a latent."""

    def scoring(self, scorer: str, way: Way) -> Scoring:
        """What the stage predictions would ask of it in one way."""
        settings = way.settings(self.profile.score, scorer)
        return Scoring(self.profile, self.lake, self.hookpoint, self.selection, settings)

    def scorer(self, scorer: str, way: Way) -> Scorer[Any]:
        """The scorer with its judge."""
        return scorer_of(scorer, self.scoring(scorer, way))


def bench_of(profile: Profile, lake: Lake, planted_run: str, side: int) -> Bench:
    """The bench, with `side` test windows of either kind a latent; makes what is missing.

    Raises `ConflictError` for a planted run on other contexts, as `plant_run` and `select_examples`
    otherwise.
    """
    if not lake.manifests("examples", run=planted_run, hookpoint=HOOKPOINT):
        library.run(profile, lake, Step("contexts"))
        plant_run(profile, lake, planted_run, read_predicates(SHIPPED))
    held = lake.manifest(vocabulary_unit(planted_run))
    source = held.facts.get(FROM) if held else None
    if source != profile.run.name:
        raise ConflictError(
            f"--planted {planted_run!r} is planted on the contexts of run {source!r}; expected "
            f"those of {profile.run.name!r}. Give --planted another name, under which it is made."
        )
    activations = lake.manifests("activations", run=planted_run, hookpoint=HOOKPOINT)
    stored = {**lake.run_settings(planted_run), **activations[0].config}
    selection = _selection(profile.selection, side)
    asked = {"explain": profile.explain, "score": profile.score, "llm": profile.llm}
    planted = profile_of_run(planted_run, HOOKPOINT, stored, lake.url)
    planted = planted.model_copy(update={**asked, "selection": selection})
    select_examples(planted, lake, HOOKPOINT, selection)
    return Bench(planted, lake, HOOKPOINT, selection.name)


def _selection(usual: SelectionSettings, side: int) -> SelectionSettings:
    """Few windows of every latent, from the profile's sources."""
    shares = {
        name: share
        for name, share in usual.non_activating_source.items()
        if name not in _BY_WEIGHTS
    }
    whole = sum(shares.values())
    source = {name: share / whole for name, share in shares.items()} or {"random": 1.0}
    drawn = override(
        usual,
        "calibrate",
        latents="all",
        min_examples=2 * side,
        n_examples_train=side,
        n_examples_test=side,
        n_non_activating=side,
        n_non_activating_train=0,
        n_quantiles=min(usual.n_quantiles, side),
        non_activating_source=source,
    )
    named = hash_of(**drawn.model_dump(mode="json", exclude={"name"}))
    return drawn.model_copy(update={"name": f"judges-{named[:8]}"})


def descriptions_of(bench: Bench, side: int) -> list[Description]:
    """A true and a wrong description of each latent that a judge can be asked about, in order.

    Raises `NotReadyError` without any.
    """
    with database.connect(bench.lake, up_to_date=False) as con:
        rows = database.query(
            con,
            "judges/descriptions",
            **bench.keys,
            selection=bench.selection,
            scorable=min(2, side),
        ).to_pylist()
    if not rows:
        raise NotReadyError(
            f"run {bench.run!r} has no planted latent without defects that fires in enough windows "
            f"of {bench.profile.selection.example_ctx_len} tokens; expected some. Plant others "
            "('delphi-assets plant --run NAME --predicates FILE') and give --planted NAME, or "
            "cache more tokens."
        )
    return [Description(**row) for row in rows]


def explain_by(bench: Bench, descriptions: Sequence[Description]) -> None:
    """Store the descriptions as explanations, as far as they are not."""
    texts: dict[str, dict[int, str]] = defaultdict(dict)
    for one in descriptions:
        texts[one.relation][one.latent] = one.text
    for relation, of_latents in sorted(texts.items()):
        name = f"planted_{relation}"
        registry.register(name, of_latents)
        settings = ExplainSettings(explainer=name)
        explain(bench.profile, bench.lake, HOOKPOINT, sorted(of_latents), settings, bench.selection)

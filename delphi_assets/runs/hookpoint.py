"""A hookpoint's latents as objects, for a notebook.

In: a lake, and which of its runs, hookpoints and selections. Out: `Latent` objects: examples as
explainers and scorers see them, with what the lake knows of the latent.

Examples are read a row group at a time, statistics, explanations and scores when they are asked
for. `Hookpoint.select` chooses other examples, which are not written; what choosing prepares once a
window length, as the table windows, is. `explain` and `score` are the stages, for this hookpoint.
"""

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import duckdb
import pyarrow as pa

from delphi_assets.errors import NotReadyError, SettingError
from delphi_assets.ground.stage import StageReport
from delphi_assets.lake.database import connect, query
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import weights_unit
from delphi_assets.latent_ranges import (
    Latents,
    WhichLatents,
    as_latents,
    as_text,
    latent_index,
)
from delphi_assets.reading.added_labels import add_labels
from delphi_assets.reading.in_words import in_words
from delphi_assets.reading.label_columns import LabelColumns
from delphi_assets.reading.records import LatentRecord, Selection, records_in
from delphi_assets.settings import Profile, SelectionSettings, override, profile_of_run

if TYPE_CHECKING:
    import polars as pl


class Explanation(NamedTuple):
    """One explanation of a latent; see the table explanations."""

    explanation_id: str
    selection: str
    explainer: str
    explainer_model: str
    explanation: str | None
    failure: str | None
    cost: float | None
    written_at: datetime

    @property
    def in_words(self) -> str | None:
        """The explanation as a person reads it: a sentence where it is a lexical one."""
        return self.explanation and in_words(self.explanation)


class Score(NamedTuple):
    """How well an explanation predicts a latent; see `sql/scores/scores.sql`."""

    explanation_id: str
    selection: str
    scorer: str
    judge: str
    judge_hash: str
    control: str
    n_examples: int
    n_failed: int
    precision: float | None
    recall: float | None
    f1: float | None
    accuracy: float | None
    balanced_accuracy: float | None
    mass_explained: float | None
    auroc: float | None


class Label(NamedTuple):
    """What a user said of a latent; see the table labels."""

    source: str
    name: str
    value: str
    number: float | None
    written_at: datetime


@dataclass(frozen=True, repr=False)
class Latent(LatentRecord):
    """A latent with its examples, and what the lake knows of it.

    `statistics`, `explanations`, `scores` and `labels` ask the lake each time. For those of many
    latents at once, use SQL (`delphi_assets.connect`).
    """

    hookpoint: "Hookpoint" = field(compare=False)

    @property
    def statistics(self) -> dict[str, Any]:
        """The latent's row of the table latents, by column; empty before it is materialized."""
        rows = self.hookpoint.rows("statistics", self.latent)
        return rows[0] if rows else {}

    @property
    def explanations(self) -> list[Explanation]:
        """Its explanations, failed ones too, the latest first."""
        return [Explanation(**row) for row in self.hookpoint.rows("explanations", self.latent)]

    @property
    def scores(self) -> list[Score]:
        """How well explanations predict it: its own, and under `control` other latents'."""
        return [Score(**row) for row in self.hookpoint.rows("scores", self.latent)]

    @property
    def labels(self) -> list[Label]:
        """What users said of it (`add_labels`), by source and name."""
        return [Label(**row) for row in self.hookpoint.rows("labels", self.latent)]

    def score(
        self,
        scorer: str,
        profile: Profile | None = None,
        explainer: str | None = None,
        **changes: object,
    ) -> list[Score]:
        """Have one scorer judge it, as `Hookpoint.score`, and its scores for this selection.

        What is stored is not asked for again.
        """
        place = self.hookpoint
        place.score([self.latent], profile, explainer, scorers=(scorer,), **changes)
        return [
            one for one in self.scores if (one.scorer, one.selection) == (scorer, place.selection)
        ]

    def _title(self) -> str:
        place = self.hookpoint
        chosen = place.selection if place.written else f"{place.selection}, not written"
        return f"latent {self.latent} of {place.name}, run {place.run}, selection {chosen}"

    def _notes(self) -> list[str]:
        statistics, selection = self.statistics, self.hookpoint.selection
        notes = _statistics_notes(statistics) if statistics else []
        notes += [
            f"not explained: {row['code']}, {row['n_windows']} of {row['min_examples']} windows"
            for row in self.hookpoint.rows("eligibility", self.latent)
            if row["selection"] == selection and row["code"] not in ("eligible", "dead")
        ]
        notes += [_explanation_note(one, selection) for one in self.explanations]
        notes += [_score_note(score, selection) for score in self.scores]
        return notes + [f"{one.source}, {one.name}: {one.value}" for one in self.labels]


class Hookpoint:
    """A hookpoint of a run, with the examples of one selection.

    `run` and `name` may be left out where the lake holds one only. Raises `NotReadyError` when
    there is no such run or hookpoint, `SettingError` when there are several to choose from; both
    say what the lake holds.
    """

    def __init__(
        self,
        lake: Lake | str | os.PathLike[str],
        run: str | None = None,
        name: str | None = None,
        selection: str = "default",
    ) -> None:
        self.lake = lake if isinstance(lake, Lake) else Lake(lake)
        self.run = _one_of(self.lake, "run", run)
        self.name = _one_of(self.lake, "hookpoint", name, run=self.run)
        self.selection = selection
        self._chosen: pa.Table | None = None

    def __repr__(self) -> str:
        place = f"{self.lake.url!r}, run={self.run!r}, name={self.name!r}"
        return f"Hookpoint({place}, selection={self.selection!r})"

    def __iter__(self) -> Iterator[Latent]:
        return self.latents()

    def __contains__(self, latent: object) -> bool:
        """Whether the coder has such a latent."""
        return isinstance(latent, int) and 0 <= latent < self.num_latents

    def __getitem__(self, latent: SupportsIndex) -> Latent:
        """One latent, without examples if it has none under the selection.

        Raises `SettingError` when the coder has no such latent, `NotReadyError` when the selection
        has not been materialized.
        """
        index = latent_index(latent)
        for record in self._records(self._known(Latents(((index, index + 1),)))):
            return Latent(record.latent, record.examples, self)
        return Latent(index, [], self)

    def latents(self, which: WhichLatents = "all") -> Iterator[Latent]:
        """The latents that have examples, in order: of `"0-4, 17"`, of indices, or all.

        Raises as `hookpoint[latent]`.
        """
        records = self._records(self._known(as_latents(which)))
        return (Latent(record.latent, record.examples, self) for record in records)

    @cached_property
    def num_latents(self) -> int:
        """Latents of the coder; raises `NotReadyError` before its weights are in the lake."""
        weights = self.lake.manifest(weights_unit(self.run, self.name))
        if weights is None:
            raise NotReadyError(
                f"{self.lake!r} holds no weights of run {self.run!r} at {self.name!r}; materialize "
                "the asset 'sparse_coder' first."
            )
        return weights.rows

    @property
    def written(self) -> bool:
        """Whether the examples are those in the lake, rather than chosen by `select`."""
        return self._chosen is None

    def select(
        self,
        profile: Profile,
        latents: WhichLatents = "all",
        selection: SelectionSettings | None = None,
        **changes: object,
    ) -> "Hookpoint":
        """This hookpoint with other examples of the given latents, chosen now and kept in memory.

        `selection` is the profile's unless given; `changes` are settings of it to replace, e.g.
        `train_type="top"`. Raises `SettingError` for impossible ones or another run's profile, and
        as `choose_examples`.
        """
        # Choosing may embed sentences; looking at what is there must not wait for such modules.
        from delphi_assets.selection.examples import choose_examples

        self._check_run(profile)
        asked = as_text(latents)
        self._known(as_latents(asked))
        settings = override(
            selection or profile.selection, "select", **{**changes, "latents": asked}
        )
        tried = copy.copy(self)
        tried.selection = settings.name
        tried._chosen = choose_examples(profile, self.lake, self.name, settings)
        return tried

    def explain(
        self,
        latents: WhichLatents | None = None,
        profile: Profile | None = None,
        **changes: object,
    ) -> StageReport:
        """Explain latents, `"0-4"` say, from these examples; the stage `explain` at this hookpoint.

        Settings are those of the profile's section explain with `changes`, e.g.
        `explainer="default", explainer_model="openai/gpt-4o"`. Without a profile it is the run's
        as the lake knows it, with the defaults of what a run is not bound to. Raises as the stage,
        `SettingError` for another run's profile or examples that are not written.
        """
        # Explainers and scorers load an LLM's client; looking at what is there must not.
        from delphi_assets.explainers.explanations import explain

        profile = self._profile(profile)
        settings = override(profile.explain, "explain", **changes)
        report = explain(profile, self.lake, self.name, latents, settings, self._stored_selection())
        self._look_again()
        return report

    def score(
        self,
        latents: WhichLatents | None = None,
        profile: Profile | None = None,
        explainer: str | None = None,
        **changes: object,
    ) -> StageReport:
        """Score stored explanations of latents; the stage `score` at this hookpoint.

        Settings are those of the profile's section score with `changes`, e.g. `scorers=("fuzz",)`.
        `explainer` says whose explanations: without it the profile's, without a profile all. Raises
        as `explain`.
        """
        from delphi_assets.scorers.predictions import score

        explainer = explainer or (None if profile else "all")
        profile = self._profile(profile)
        settings = override(profile.score, "score", **changes)
        selection = self._stored_selection()
        report = score(profile, self.lake, self.name, latents, settings, selection, explainer)
        self._look_again()
        return report

    def scores(self) -> "pl.DataFrame":
        """The view scores for this hookpoint and selection, as a Polars frame."""
        import polars as pl

        place = {"run": self.run, "hookpoint": self.name, "selection": self.selection}
        return pl.DataFrame(query(self._con, "hookpoint/all_scores", **place))

    def add_labels(self, file: str | os.PathLike[str], source: str) -> StageReport:
        """Add labels of its latents, .csv, .tsv or .parquet; as the call `add_labels`."""
        report = add_labels(self.lake, file, source, self.run, self.name)
        self._look_again()
        return report

    def labels(self) -> "pl.DataFrame":
        """The labels of its latents, a row a latent, as a Polars frame.

        Columns are `latent`, and `source.name` of each label: numbers where all of them are, else
        texts. Join it with `scores()` on `latent`.
        """
        import polars as pl

        # Others add labels while a notebook is open.
        self._look_again()
        return pl.DataFrame(LabelColumns(self._con, self.run, self.name).table())

    def rows(self, statement: str, latent: int) -> list[dict[str, Any]]:
        """Rows of `sql/hookpoint/<statement>.sql` for a latent."""
        found: list[dict[str, Any]] = query(
            self._con, f"hookpoint/{statement}", run=self.run, hookpoint=self.name, latent=latent
        ).to_pylist()
        return found

    def _profile(self, given: Profile | None) -> Profile:
        """The profile to ask with: `given`, or what the lake knows of the run's."""
        if given is not None:
            self._check_run(given)
            return given
        made = self.lake.manifests("activations", run=self.run, hookpoint=self.name)
        stored = {**self.lake.run_settings(self.run), **(made[0].config if made else {})}
        if not stored:
            raise NotReadyError(
                f"{self.lake!r} does not say what run {self.run!r} was made with; give `profile=`, "
                "e.g. profile=load_profile('my-run.toml')."
            )
        return profile_of_run(self.run, self.name, stored, self.lake.url)

    def _check_run(self, profile: Profile) -> None:
        if profile.run.name != self.run:
            raise SettingError(
                f"the profile's run.name is {profile.run.name!r}; expected the profile of run "
                f"{self.run!r}, with which its activations were made."
            )

    def _stored_selection(self) -> str:
        """Name of the selection; raises `SettingError` unless its examples are in the lake."""
        if not self.written:
            raise SettingError(
                f"the examples of {self!r} were chosen by `select`, and are not in the lake; "
                "expected a selection that `select_examples` has written."
            )
        return self.selection

    def _look_again(self) -> None:
        """Connect anew: a table's first file is seen by connections made after it."""
        self.__dict__.pop("_con", None)

    @cached_property
    def _con(self) -> duckdb.DuckDBPyConnection:
        return connect(self.lake)

    @cached_property
    def _published(self) -> Selection:
        return Selection(self.lake, self.run, self.name, self.selection)

    def _records(self, latents: Latents) -> Iterator[LatentRecord]:
        if self._chosen is not None:
            return records_in([self._chosen], latents)
        return self._published.records(latents)

    def _known(self, latents: Latents) -> Latents:
        """`latents`, all of which the coder has."""
        for start, end in latents.ranges:
            if start < 0 or end > self.num_latents:
                shown = f"{start}" if end == start + 1 else f"{start}-{end - 1}"
                raise SettingError(
                    f"{self!r} has no latents {shown}; expected 0-{self.num_latents - 1}."
                )
        return latents


def _one_of(lake: Lake, key: str, given: str | None, **keys: str) -> str:
    """The run or hookpoint that is meant: `given` if it is there, else the only one there is."""
    units = [
        unit for table in ("activations", "examples") for unit in lake.manifests(table, **keys)
    ]
    there = sorted({str(unit.keys[key]) for unit in units})
    where = "".join(f" of {name} {value!r}" for name, value in keys.items())
    if not there or (given is not None and given not in there):
        asked = key if given is None else f"{key} {given!r}"
        holds = f"it holds {there}" if there else "materialize the asset 'activations' first"
        raise NotReadyError(f"{lake!r} holds no {asked}{where}; {holds}.")
    if given is None and len(there) > 1:
        raise SettingError(f"{lake!r} holds several {key}s{where}: {there}; name one of them.")
    return given or there[0]


def _statistics_notes(statistics: dict[str, Any]) -> list[str]:
    shares = zip(statistics["top_tokens"] or (), statistics["top_token_shares"] or (), strict=True)
    top = ", ".join(f"{token!r} {share:.0%}" for token, share in shares)
    ends = (statistics["max_activation"] or 0, statistics["min_activation"] or 0)
    notes = [
        f"fires on {statistics['n_activations']:,} tokens ({statistics['token_density']:.3g} of "
        f"all), in {statistics['n_windows']:,} windows; strongest "
        f"{max(ends, key=abs):.4g}"
    ]
    notes += [f"top tokens: {top}"] if top else []
    return notes + ([f"not explained: {reason}"] if (reason := statistics["reason"]) else [])


def _explanation_note(one: Explanation, selection: str) -> str:
    said = one.in_words or f"failed: {one.failure}"
    return f"{one.explainer} ({one.explainer_model}{_other(one.selection, selection)}): {said}"


def _score_note(score: Score, selection: str) -> str:
    control = "" if score.control == "none" else f", {score.control} explanation"
    rates = [
        ("balanced accuracy", score.balanced_accuracy),
        ("mass explained", score.mass_explained),
        ("AUROC", score.auroc),
    ]
    if (score.balanced_accuracy, score.auroc) == (None, None):
        rates = [("accuracy", score.accuracy)]
    shown = ", ".join(f"{name} {rate:.3f}" for name, rate in rates if rate is not None)
    asked = f"{score.scorer} by {score.judge}{control}{_other(score.selection, selection)}"
    return f"{asked}: {shown or 'no answers'}"


def _other(theirs: str, shown: str) -> str:
    """Names the selection that an explanation or a score is from, unless it is the one shown."""
    return "" if theirs == shown else f", selection {theirs}"

"""The planted run that `truth` measures on, made where there is none.

In: a lake, the name of its planted run, and the profile whose text is planted on. Out: `Planted`.

1. Where the lake has no run of that name, the profile's contexts are made in it, and the shipped
   predicates planted on them.
2. The planted latents that have windows, but for those that fire at random: those of a kind in
   turn, each kind by a hash of its latents' names, so that the first few are of all kinds.
3. A selection of its own for every question: so many windows, chosen so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

import delphi_assets as da
from delphi_assets import connect
from delphi_assets.caching.planting.planted_coder import HOOKPOINT
from delphi_assets.caching.planting.predicates import shipped_predicates
from delphi_assets.lake.lake import Lake
from delphi_assets.latent_ranges import as_text
from delphi_assets.runs.library import run as run_step
from delphi_assets.runs.order import steps
from delphi_assets.runs.planting import plant_run
from delphi_assets.selection.examples import select_examples
from delphi_assets.settings import Profile, load_profile, override

KNOWN = """
    select latents.latent, planted.name, planted.kind, planted.text
    from planted
    inner join eligibility using (run, hookpoint, latent)
    inner join latents using (run, hookpoint, latent)
    where
        run = $run and hookpoint = $hookpoint and selection = 'default'
        and relation = 'true' and code = 'eligible' and kind <> 'random'
    order by
        row_number() over (partition by kind order by md5(name)),
        kind
"""
TEXTS = """
    select relation, latent, text
    from planted
    where run = $run and hookpoint = $hookpoint and relation not in ('empty', 'true')
    order by relation, latent, number
"""
STRAYING = """
    select latent
    from planted
    where
        run = $run and hookpoint = $hookpoint and relation = 'true'
        and n_missed + n_false > 0
    order by latent
"""
FIRED = """
    select latent, position, activation
    from activations
    where run = $run and hookpoint = $hookpoint
    order by latent, position
"""
SIZE = """
    select count(*) * max(len(tokens))
    from contexts
    where run = $run
"""


@dataclass(frozen=True)
class Known:
    """A planted latent: what is true of it."""

    latent: int
    name: str
    kind: str
    text: str


@dataclass(frozen=True)
class Planted:
    """A planted run."""

    lake: Lake
    run: str
    profile: Profile
    """Of the run."""

    @property
    def place(self) -> dict[str, Any]:
        """Parameters of statements about its hookpoint."""
        return {"run": self.run, "hookpoint": HOOKPOINT}

    def rows(self, statement: str, **named: object) -> list[tuple[Any, ...]]:
        """Rows of a statement that takes `$run`, and others."""
        with connect(self.lake) as con:
            return con.execute(statement, {"run": self.run, **named}).fetchall()

    @cached_property
    def known(self) -> list[Known]:
        """Its latents that have a pattern and windows, those of a kind in turn."""
        return [Known(*row) for row in self.rows(KNOWN, hookpoint=HOOKPOINT)]

    def wrong(self) -> list[tuple[str, int, str]]:
        """Relation, latent and text of every description that is wrong, of a relation in order."""
        rows = self.rows(TEXTS, hookpoint=HOOKPOINT)
        return [(relation, latent, text) for relation, latent, text in rows]

    def straying(self) -> set[int]:
        """Latents that stray from their description by defects."""
        return {row[0] for row in self.rows(STRAYING, hookpoint=HOOKPOINT)}

    @cached_property
    def strength(self) -> dict[int, npt.NDArray[np.float32]]:
        """Magnitudes [tokens] of what each known latent does, by token of the run."""
        [(tokens,)] = self.rows(SIZE)
        found = {one.latent: np.zeros(tokens, np.float32) for one in self.known}
        for latent, position, activation in self.rows(FIRED, hookpoint=HOOKPOINT):
            if latent in found:
                found[latent][position] = abs(activation)
        return found

    def select(self, name: str, latents: Iterable[int], **changes: object) -> da.Hookpoint:
        """The hookpoint with a selection of that name, which is made where it is not there."""
        asked = as_text(sorted(latents))
        selection = override(
            self.profile.selection, "benchmark", name=name, latents="all", **changes
        )
        select_examples(self.profile, self.lake, HOOKPOINT, selection, asked)
        return da.Hookpoint(self.lake, self.run, HOOKPOINT, name)


def planted_lake(url: str, run: str, profile_name: str) -> Planted:
    """The planted run of a lake, made where it is missing; raises as the stages."""
    lake, file = Lake(url), f"profiles/{run}/profile.toml"
    # The profile is there before the rows are, so it says nothing of a planting that was stopped.
    if not lake.manifests("examples", run=run, hookpoint=HOOKPOINT):
        source = load_profile(profile_name)
        source = source.model_copy(update={"run": override(source.run, "benchmark", lake=url)})
        for step in steps(source, "contexts"):
            run_step(source, lake, step)
        plant_run(source, lake, run, shipped_predicates())
    return Planted(lake, run, load_profile(lake.location(file)))

"""The predicates that are shipped, on the demo's own contexts and with its tokenizer."""

import time
from pathlib import Path

import pytest

from delphi_assets import connect
from delphi_assets.caching.planting.predicates import shipped_predicates
from delphi_assets.lake.lake import Lake
from delphi_assets.models.subject import load_tokenizer
from delphi_assets.runs.library import run as run_step
from delphi_assets.runs.order import steps
from delphi_assets.runs.planting import plant_run
from delphi_assets.settings import load_profile
from tests.caching.planting.test_kinds import NUMBERS, PROMPT, QUOTED

pytestmark = pytest.mark.slow

SECONDS = 60
"""Of a core, for the demo's 200,000 tokens and the tagger's lexicon."""


def test_tokens_that_kinds_are_tried_on_are_those_of_the_demo() -> None:
    tokenizer = load_tokenizer(load_profile("demo").model)
    for tokens in (NUMBERS, QUOTED, PROMPT):
        ids = tokenizer("".join(tokens), add_special_tokens=False)["input_ids"]
        assert [tokenizer.decode([one]) for one in ids] == tokens


def test_every_latent_fires_on_the_demo_as_a_coders_would(tmp_path: Path) -> None:
    profile, lake = load_profile("demo"), Lake(tmp_path / "lake")
    for step in steps(profile, "contexts"):
        run_step(profile, lake, step)
    started, predicates = time.process_time(), shipped_predicates()
    plant_run(profile, lake, "planted", predicates)
    assert time.process_time() - started < SECONDS
    with connect(lake) as con:
        rates = con.sql(
            "select base_rate, token_density, code from planted "
            "inner join latents using (run, hookpoint, latent) "
            "inner join eligibility using (run, hookpoint, latent) where relation = 'true'"
        ).fetchall()
        shares = con.sql(
            "select median(token_density), max(token_density) from latents where run = 'planted'"
        ).fetchone()
    assert len(rates) == len(predicates.all)
    assert all(density > 1e-4 for _, density, _ in rates)
    assert sum(code == "eligible" for _, _, code in rates) > 0.95 * len(rates)
    assert shares is not None
    assert 0.001 < shares[0] < 0.01 < shares[1] < 0.1

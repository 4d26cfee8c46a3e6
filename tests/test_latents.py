"""Statistics of latents against plain Python on random caches."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from delphi_assets import connect
from delphi_assets.latents import describe_latents
from tests.random_lake import HOOKPOINT, VOCABULARY, RandomLake, random_lake


def rows_of(data: RandomLake) -> dict[int, dict[str, object]]:
    rows = connect(data.lake).sql("from latents order by latent").to_arrow_table().to_pylist()
    return {int(row["latent"]): row for row in rows}


@pytest.mark.parametrize("seed", range(3))
def test_statistics_equal_brute_force(tmp_path: Path, seed: int) -> None:
    data = random_lake(tmp_path, seed=seed, n_tokens=999, example_ctx_len=8, min_examples=20)
    report = describe_latents(data.profile, data.lake, HOOKPOINT)
    assert report.rows == report.new_rows == len(data.fired)
    rows = rows_of(data)
    assert list(rows) == list(data.fired)
    specials = data.tokens.count(0)
    for latent, fired in data.fired.items():
        row = rows[latent]
        windows = {place // 8 for place in fired if place // 8 < 999 // 8}
        contexts = {place // 32 for place in fired}
        assert row["n_activations"] == len(fired)
        assert row["n_contexts"] == len(contexts)
        assert row["n_windows"] == len(windows)
        assert row["token_density"] == pytest.approx(len(fired) / (999 - specials))
        assert row["context_density"] == pytest.approx(len(contexts) / 32)
        if not fired:
            assert row["reason"] == "never fires"
            assert (row["max_activation"], row["top_tokens"], row["n_tokens_80"]) == (None, [], 0)
            continue
        expected = f"fires in {len(windows)} windows, min_examples is 20"
        assert row["reason"] == (expected if len(windows) < 20 else None)
        values = list(fired.values())
        assert row["max_activation"] == max(values)
        assert row["mean_activation"] == pytest.approx(np.mean(values), rel=1e-5)
        quantiles = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9])
        assert row["activation_quantiles"] == pytest.approx(quantiles, rel=1e-5)
        _assert_tokens(data, row, fired)


def _assert_tokens(data: RandomLake, row: dict[str, object], fired: dict[int, float]) -> None:
    mass: dict[int, float] = defaultdict(float)
    for place, value in fired.items():
        mass[data.tokens[place]] += value
    total = sum(mass.values())
    heaviest = sorted(mass.items(), key=lambda item: (-item[1], item[0]))
    assert row["top_tokens"] == [f" t{token}" for token, _ in heaviest[:10]]
    assert row["top_token_shares"] == pytest.approx(
        [value / total for _, value in heaviest[:10]], rel=1e-5
    )
    so_far, fewest = 0.0, 0
    while so_far < 0.8 * total - 1e-9:
        so_far += heaviest[fewest][1]
        fewest += 1
    assert row["n_tokens_80"] == fewest <= VOCABULARY


def test_new_settings_win_and_old_ones_return(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=8, min_examples=1)
    reasons = []
    for min_examples in (1, 10_000, 10_000, 1):
        selection = data.profile.selection.model_copy(update={"min_examples": min_examples})
        profile = data.profile.model_copy(update={"selection": selection})
        report = describe_latents(profile, data.lake, HOOKPOINT)
        reasons.append(sum(row["reason"] is not None for row in rows_of(data).values()))
    assert reasons == [1, 12, 12, 1]
    assert report.new_rows == 12
    assert len(rows_of(data)) == 12

"""Statistics of latents: by hand, and against plain Python on random activations."""

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from delphi_assets import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.schema import LATENTS
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import N_BINS, describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import NeighbourSettings
from tests.parts.random_lake import (
    HOOKPOINT,
    RUN,
    VOCABULARY,
    RandomLake,
    profile_of,
    random_lake,
    write_activations,
    write_corpus,
)

Row = dict[str, object]
Fired = dict[int, dict[int, float]]
CTX_LEN, WINDOW, MIN_EXAMPLES = 32, 8, 20
SPECIAL = 0
"""The one special token of these lakes."""


def lake_of(
    folder: Path,
    tokens: list[int],
    fired: Fired,
    *,
    ctx_len: int = CTX_LEN,
    n_buckets: int = 3,
    filter_bos: bool = True,
    example_ctx_len: int = WINDOW,
    min_examples: int = MIN_EXAMPLES,
) -> RandomLake:
    """A lake of these tokens and activations."""
    profile = profile_of(
        len(tokens),
        ctx_len,
        n_buckets,
        example_ctx_len=example_ctx_len,
        min_examples=min_examples,
    )
    cache = profile.cache.model_copy(update={"filter_bos": filter_bos})
    profile = profile.model_copy(update={"cache": cache})
    lake = Lake(folder)
    lake.claim_run(RUN, profile.run_config())
    write_corpus(lake, profile, tokens)
    write_activations(lake, profile, fired, len(fired))
    return RandomLake(lake, profile, tokens, fired)


def drawn(seed: int, *, filter_bos: bool, n_tokens: int = 999) -> tuple[list[int], Fired]:
    """Tokens and activations; the last context is cut.

    Contexts begin with up to two special tokens. Latent 0 never fires, latent 1 fires once, latent
    2 with one value only, latent 3 below zero, latent 4 at the beginning of contexts, the others on
    either side of zero.
    """
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, VOCABULARY, n_tokens).tolist()
    for start in range(0, n_tokens, CTX_LEN):
        end = min(start + int(rng.integers(0, 3)), n_tokens)
        tokens[start:end] = [SPECIAL] * (end - start)
    eligible = [
        place for place, token in enumerate(tokens) if not (filter_bos and token == SPECIAL)
    ]
    fired: Fired = {0: {}, 1: {int(rng.choice(eligible)): 1.5}}
    for latent in range(2, 14):
        density = rng.choice([0.02, 0.1, 0.5, 0.95])
        chosen = [place for place in eligible if rng.random() < density]
        values = rng.integers(1, 80, len(chosen)) / 8
        if latent == 2:
            values[:] = 0.25
        elif latent == 3:
            values *= -1
        elif latent == 4:
            chosen = [place for place in chosen if place % CTX_LEN < 3]
        else:
            values *= rng.choice([-1, 1], len(values))
        fired[latent] = dict(zip(chosen, values.tolist(), strict=False))
    return tokens, fired


def rows_of(data: RandomLake) -> dict[int, Row]:
    with connect(data.lake) as con:
        rows = con.sql("from latents order by latent").to_arrow_table().to_pylist()
    return {int(row["latent"]): row for row in rows}


def described(data: RandomLake) -> dict[int, Row]:
    report = describe_latents(data.profile, data.lake, HOOKPOINT)
    assert report.rows == report.new_rows == len(data.fired)
    rows = rows_of(data)
    assert list(rows) == list(data.fired)
    return rows


def histogram(**counts: int) -> list[int]:
    """Bins by hand: `b12=3` for three activations in bin 12."""
    return [counts.get(f"b{bin}", 0) for bin in range(N_BINS)]


def same(row: Row, expected: Row) -> None:
    """The row has these values, floats in single precision."""
    for name, value in expected.items():
        exact = value is None or name in ("top_tokens", "neighbour_method", "reason")
        wanted = value if exact else pytest.approx(value, rel=1e-6, abs=1e-6)
        assert row[name] == wanted, (row["latent"], name)


def test_by_hand(tmp_path: Path) -> None:
    """Three contexts of four tokens, the last cut after two, each begun by a special token.

    Tokens that can carry an activation have the offsets 1 2 3, 1 2 3, 1: 13/7 on average.
    """
    tokens = [SPECIAL, 1, 2, 1, SPECIAL, 3, 1, 2, SPECIAL, 1]
    fired: Fired = {0: {}, 1: {1: 2, 3: 1, 6: -1, 9: 4}, 2: {7: 0.5}, 3: {1: 3, 2: 1}}
    data = lake_of(
        tmp_path, tokens, fired, ctx_len=4, n_buckets=2, example_ctx_len=2, min_examples=2
    )
    rows = described(data)
    undefined = (
        "burstiness min_activation max_activation mean_activation activation_quantiles "
        "activation_histogram top_token_recall token_entropy first_token_share "
        "special_token_share position_bias position_entropy nearest_neighbour "
        "neighbour_similarity neighbour_method"
    )
    zero = ("n_activations", "n_contexts", "n_windows", "token_density", "context_density")
    dead: Row = {**dict.fromkeys(undefined.split()), **dict.fromkeys(zero, 0)}
    dead |= {"top_tokens": [], "top_token_shares": [], "n_tokens_80": 0, "reason": "dead"}
    same(rows[0], dead)
    # On token 1 only, and on every one: 2, 1 and 1 times a context.
    single: Row = {
        "n_activations": 4,
        "n_contexts": 3,
        "n_windows": 4,
        "token_density": 4 / 7,
        "context_density": 1.0,
        "burstiness": (2 / 9) / (4 / 3),
        "min_activation": -1,
        "max_activation": 4,
        "mean_activation": 1.5,
        "activation_quantiles": [-0.4, 0.5, 1.5, 2.5, 3.4],
        "activation_histogram": histogram(b0=1, b8=1, b12=1, b19=1),
        "top_tokens": [" t1"],
        "top_token_shares": [1],
        "top_token_recall": 1,
        "n_tokens_80": 1,
        "token_entropy": 0,
        "first_token_share": 6 / 8,
        "special_token_share": 0,
        "position_bias": (7 / 4 - 13 / 7) / 4,
        "position_entropy": 1.5,
        "decoder_norm": 1,
        "encoder_norm": 1,
        "encoder_decoder_cosine": 1,
        "reason": None,
    }
    same(rows[1], single)
    once: Row = {
        "burstiness": (2 / 9) / (1 / 3),
        "activation_quantiles": [0.5] * 5,
        "activation_histogram": histogram(b0=1),
        "top_token_recall": 1 / 2,
        "first_token_share": 0,
        "position_bias": (3 - 13 / 7) / 4,
        "position_entropy": 0,
        "reason": None,
    }
    same(rows[2], once)
    twice: Row = {
        "burstiness": (8 / 9) / (2 / 3),
        "activation_histogram": histogram(b0=1, b19=1),
        "top_tokens": [" t1", " t2"],
        "top_token_shares": [3 / 4, 1 / 4],
        "top_token_recall": 1 / 4,
        "n_tokens_80": 2,
        "token_entropy": 3 / 4 * math.log2(4 / 3) + 1 / 4 * 2,
        "first_token_share": 3 / 4,
        "position_bias": (3 / 2 - 13 / 7) / 4,
        "position_entropy": 1,
    }
    same(rows[3], twice)


@pytest.mark.parametrize(("filter_bos", "on_first"), [(False, 6 / 8), (True, 2 / 8)])
def test_special_tokens_by_hand(tmp_path: Path, filter_bos: bool, on_first: float) -> None:
    """Where special tokens can carry activations, they are the first of their contexts."""
    tokens = [SPECIAL, 1, 2, 1]
    data = lake_of(
        tmp_path,
        tokens,
        {0: {0: 6, 1: 2}},
        ctx_len=4,
        n_buckets=1,
        filter_bos=filter_bos,
        example_ctx_len=2,
    )
    offsets = np.mean([1, 2, 3] if filter_bos else [0, 1, 2, 3])
    expected: Row = {
        "token_density": 2 / 3 if filter_bos else 2 / 4,
        "first_token_share": on_first,
        "special_token_share": 6 / 8,
        "position_bias": (0.5 - offsets) / 4,
    }
    same(described(data)[0], expected)


def test_a_corpus_of_special_tokens_has_no_mean_offset(tmp_path: Path) -> None:
    """Nothing can carry an activation: nulls, no NaN."""
    data = lake_of(tmp_path, [SPECIAL] * 8, {0: {}, 1: {2: 1.0}}, ctx_len=8, n_buckets=1)
    same(described(data)[1], {"token_density": 0, "position_bias": None, "first_token_share": 0})


@pytest.mark.parametrize("filter_bos", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_equal_to_brute_force(tmp_path: Path, seed: int, filter_bos: bool) -> None:
    tokens, fired = drawn(seed, filter_bos=filter_bos)
    data = lake_of(tmp_path, tokens, fired, filter_bos=filter_bos)
    rows = described(data)
    compared = set(_expected(tokens, fired[1], filter_bos))
    table = {"run", "hookpoint", "latent", "written_at"}
    assert set(rows[1]) - compared == table
    for latent, row in rows.items():
        same(row, _expected(tokens, fired[latent], filter_bos))
        numbers = [value for value in row.values() if isinstance(value, float)]
        assert not any(map(math.isnan, numbers))


def _expected(tokens: list[int], fired: dict[int, float], filter_bos: bool) -> Row:
    """The row of a latent, column by column, from the definitions."""
    eligible = [p for p, token in enumerate(tokens) if not (filter_bos and token == SPECIAL)]
    n_contexts, windows = -(-len(tokens) // CTX_LEN), {p // WINDOW for p in fired}
    n_windows = len(windows & set(range(len(tokens) // WINDOW)))
    contexts = Counter(p // CTX_LEN for p in fired)
    row: Row = {
        "n_activations": len(fired),
        "n_contexts": len(contexts),
        "n_windows": n_windows,
        "token_density": len(fired) / len(eligible),
        "context_density": len(contexts) / n_contexts,
        "decoder_norm": 1,
        "encoder_norm": 1,
        "encoder_decoder_cosine": 1,
        **dict.fromkeys(("nearest_neighbour", "neighbour_similarity", "neighbour_method")),
    }
    values = np.array(list(fired.values()))
    row |= _of_values(values) | _of_tokens(tokens, fired) | _of_places(eligible, fired)
    if not fired:
        return {**row, "burstiness": None, "reason": "dead"}
    counts = [contexts[context] for context in range(n_contexts)]
    row["burstiness"] = np.var(counts) / np.mean(counts)
    row["reason"] = None
    return row


def _of_values(values: NDArray[Any]) -> Row:
    names = ("min_activation", "max_activation", "mean_activation", "activation_quantiles")
    if not len(values):
        return dict.fromkeys((*names, "activation_histogram"))
    low, high = values.min(), values.max()
    quantiles = np.quantile(values, [0.1, 0.25, 0.5, 0.75, 0.9]).tolist()
    counts = [0] * N_BINS
    for value in values:
        place = (value - low) / (high - low) * N_BINS if high > low else 0
        counts[min(int(place), N_BINS - 1)] += 1
    found = dict(zip(names, (low, high, values.mean(), quantiles), strict=True))
    return {**found, "activation_histogram": counts}


def _of_tokens(tokens: list[int], fired: dict[int, float]) -> Row:
    mass: dict[int, float] = defaultdict(float)
    for place, value in fired.items():
        mass[tokens[place]] += abs(value)
    total = sum(mass.values())
    heaviest = sorted(mass.items(), key=lambda item: (-item[1], item[0]))
    so_far, fewest = 0.0, 0
    while so_far < 0.8 * total - 1e-9:
        so_far += heaviest[fewest][1]
        fewest += 1
    row: Row = {
        "top_tokens": [f" t{token}" for token, _ in heaviest[:10]],
        "top_token_shares": [value / total for _, value in heaviest[:10]],
        "n_tokens_80": fewest,
    }
    names = ("top_token_recall", "token_entropy", "special_token_share")
    if not fired:
        return row | dict.fromkeys(names)
    top = heaviest[0][0]
    recall = sum(tokens[place] == top for place in fired) / tokens.count(top)
    entropy = -sum(value / total * math.log2(value / total) for value in mass.values())
    return row | dict(zip(names, (recall, entropy, mass[SPECIAL] / total), strict=True))


def _of_places(eligible: list[int], fired: dict[int, float]) -> Row:
    names = ("first_token_share", "position_bias", "position_entropy")
    if not fired:
        return dict.fromkeys(names)
    firsts = {min(group) for group in _by_context(eligible).values()}
    first = sum(abs(value) for place, value in fired.items() if place in firsts)
    offsets = Counter(place % CTX_LEN for place in fired)
    mean = np.mean([place % CTX_LEN for place in fired])
    bias = (mean - np.mean([place % CTX_LEN for place in eligible])) / CTX_LEN
    shares = [count / len(fired) for count in offsets.values()]
    entropy = -sum(share * math.log2(share) for share in shares)
    return dict(zip(names, (first / sum(map(abs, fired.values())), bias, entropy), strict=True))


def _by_context(places: list[int]) -> dict[int, list[int]]:
    contexts: dict[int, list[int]] = {}
    for place in places:
        contexts.setdefault(place // CTX_LEN, []).append(place)
    return contexts


@pytest.mark.parametrize("n_buckets", [1, 5, 14])
def test_buckets_change_nothing(tmp_path: Path, n_buckets: int) -> None:
    tokens, fired = drawn(7, filter_bos=True)

    def rows(folder: str, n_buckets: int) -> dict[int, Row]:
        found = described(lake_of(tmp_path / folder, tokens, fired, n_buckets=n_buckets))
        return {latent: {**row, "written_at": None} for latent, row in found.items()}

    assert rows("some", n_buckets) == rows("three", 3)


def test_new_settings_win_and_old_ones_return(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=8, min_examples=1)
    windows, written = [], []
    for example_ctx_len in (8, 16, 16, 8):
        selection = data.profile.selection.model_copy(update={"example_ctx_len": example_ctx_len})
        profile = data.profile.model_copy(update={"selection": selection})
        written.append(describe_latents(profile, data.lake, HOOKPOINT).new_rows)
        windows.append(sum(int(str(row["n_windows"])) for row in rows_of(data).values()))
    assert windows[0] == windows[3] > windows[1] == windows[2]
    assert written == [12, 12, 0, 12]
    assert len(rows_of(data)) == 12


def test_what_a_selection_asks_for_is_no_reason_of_the_latent(tmp_path: Path) -> None:
    """The last profile had the say: explained latents read as those that will not be explained."""
    data = random_lake(tmp_path, example_ctx_len=8, min_examples=1)
    for name, min_examples in (("some", 1), ("many", 10_000)):
        changed = {"min_examples": min_examples, "max_examples": 10_000, "name": name}
        selection = data.profile.selection.model_copy(update=changed)
        profile = data.profile.model_copy(update={"selection": selection})
        describe_latents(profile, data.lake, HOOKPOINT)
        select_examples(profile, data.lake, HOOKPOINT)
    assert {str(row["reason"]) for row in rows_of(data).values()} == {"dead", "None"}
    with connect(data.lake) as con:
        told = con.table("eligibility").aggregate("selection, code, count(*)")
        assert sorted(told.fetchall()) == [
            ("many", "dead", 1),
            ("many", "too_few_windows", 11),
            ("some", "dead", 1),
            ("some", "eligible", 11),
        ]


def test_neighbours_found_later_are_taken_up(tmp_path: Path) -> None:
    """Without them the columns are null; the nearest is rank 1 of the table neighbours."""
    data = random_lake(tmp_path, example_ctx_len=8)
    report = describe_latents(data.profile, data.lake, HOOKPOINT)
    assert report.facts["with_neighbour"] == 0
    assert {row["neighbour_method"] for row in rows_of(data).values()} == {None}
    settings = NeighbourSettings(n_neighbours=3)
    find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", settings)
    report = describe_latents(data.profile, data.lake, HOOKPOINT)
    assert (report.new_rows, report.facts["with_neighbour"]) == (12, 11)
    found = {
        latent: (row["nearest_neighbour"], row["neighbour_similarity"], row["neighbour_method"])
        for latent, row in rows_of(data).items()
    }
    with connect(data.lake) as con:
        nearest = con.sql("from neighbours where rank = 1").to_arrow_table().to_pylist()
    expected = {
        row["latent"]: (row["neighbour"], row["similarity"], "co-occurrence") for row in nearest
    }
    assert found == {0: (None, None, "co-occurrence"), **expected}
    assert describe_latents(data.profile, data.lake, HOOKPOINT).new_rows == 0


def test_the_first_method_is_the_one_that_counts(tmp_path: Path) -> None:
    """Neighbours by another method are not shown in its place."""
    data = random_lake(tmp_path, example_ctx_len=8)
    settings = NeighbourSettings(methods=("decoder", "co-occurrence"))
    profile = data.profile.model_copy(update={"neighbours": settings})
    find_neighbours(profile, data.lake, HOOKPOINT, "co-occurrence", settings)
    assert describe_latents(profile, data.lake, HOOKPOINT).facts["with_neighbour"] == 0
    assert describe_latents(data.profile, data.lake, HOOKPOINT).facts["with_neighbour"] == 11
    assert describe_latents(profile, data.lake, HOOKPOINT).new_rows == 12


def test_the_documented_bins_are_those_of_the_histogram() -> None:
    (column,) = (column for column in LATENTS.columns if column.name == "activation_histogram")
    assert f"each of {N_BINS} equally wide bins" in column.doc
    assert f"/ {N_BINS};" in column.doc


def test_the_view_reads_files_that_lack_columns(tmp_path: Path) -> None:
    """A lake may hold rows written before a column was there, of another run for example."""
    data = random_lake(tmp_path, example_ctx_len=8)
    describe_latents(data.profile, data.lake, HOOKPOINT)
    older = rows_of(data)[3]
    folder = tmp_path / "latents" / "run=A" / "hookpoint=layers.0"
    folder.mkdir(parents=True)
    kept = ("latent", "n_activations", "written_at")
    pq.write_table(
        pa.Table.from_pylist([{name: older[name] for name in kept}]), folder / "all.parquet"
    )
    with connect(data.lake) as con:
        counts = con.sql(
            "select run, count(burstiness), count(*) from latents group by 1 order by 1"
        )
        assert counts.fetchall() == [("A", 0, 1), (RUN, 11, 12)]

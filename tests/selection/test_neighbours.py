"""Neighbours: every pair of latents compared, against brute force and by hand."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.coders import load_coder
from delphi_assets.errors import ConflictError, DataError, NotReadyError, SettingError
from delphi_assets.ground.registries import NEIGHBOUR_METHODS
from delphi_assets.lake.database import connect
from delphi_assets.lake.lake import Lake
from delphi_assets.selection.neighbours import co_occurrence, find_neighbours, weight_similarity
from delphi_assets.selection.neighbours.fitting import fitting
from delphi_assets.selection.neighbours.method import NeighbourMethod, NeighbourPlace, Pairs
from delphi_assets.settings import (
    NeighbourSettings,
    Profile,
    override,
)
from tests.parts.random_lake import HOOKPOINT, RUN, profile_of, random_lake, write_activations

pytestmark = pytest.mark.slow

Fired = dict[int, set[int]]
"""Positions by latent."""


class Pair(NamedTuple):
    """A row of the view `neighbours`."""

    latent: int
    neighbour: int
    rank: int
    similarity: float


def rows_of(lake: Lake, method: str) -> list[Pair]:
    """Rows in the order in which they lie in the file."""
    with connect(lake) as con:
        found = con.sql(
            "select latent, neighbour, rank, similarity from neighbours where method = $method",
            params={"method": method},
        ).fetchall()
    return [Pair(*row) for row in found]


def single(number: float) -> float:
    """`number` in the precision of the table."""
    return float(torch.tensor(number, dtype=torch.float32))


def by_brute_force(fired: Fired, n_neighbours: int) -> list[Pair]:
    rows = []
    for latent, own in sorted(fired.items()):
        alike = sorted(
            (-len(own & others) / len(own | others), other)
            for other, others in fired.items()
            if other != latent and own & others
        )
        rows += [
            Pair(latent, other, rank, single(-negative))
            for rank, (negative, other) in enumerate(alike[:n_neighbours], start=1)
        ]
    return rows


def co_occurring(
    folder: Path, fired: Fired, n_neighbours: int, n_buckets: int = 2, n_tokens: int = 64
) -> list[Pair]:
    """What the stage finds in a lake of these activations."""
    lake, profile = Lake(folder), profile_of(n_tokens, 32, n_buckets)
    lake.claim_run(RUN, profile.run_config())
    valued = {latent: dict.fromkeys(places, 1.0) for latent, places in fired.items()}
    write_activations(lake, profile, valued, len(fired))
    find_neighbours(profile, lake, HOOKPOINT, "co-occurrence", wanting(n_neighbours))
    return rows_of(lake, "co-occurrence")


def wanting(n_neighbours: int) -> NeighbourSettings:
    return NeighbourSettings(n_neighbours=n_neighbours)


def test_co_occurrence_by_hand(tmp_path: Path) -> None:
    """Latent 0 never fires, latent 4 fires alone; of equally near ones the lower index is first."""
    fired: Fired = {0: set(), 1: {0, 1, 2, 3}, 2: {2, 3}, 3: {3, 9}, 4: {20}, 5: {2, 3}}
    half, third, fifth = single(1 / 2), single(1 / 3), single(1 / 5)
    assert co_occurring(tmp_path, fired, 2) == [
        (1, 2, 1, half), (1, 5, 2, half),
        (2, 5, 1, 1.0), (2, 1, 2, half),
        (3, 2, 1, third), (3, 5, 2, third),
        (5, 2, 1, 1.0), (5, 1, 2, half),
    ]  # fmt: skip
    assert (3, 1, 3, fifth) in co_occurring(tmp_path / "more", fired, 3)


@pytest.mark.parametrize(("seed", "n_neighbours"), [(0, 5), (1, 250), (2, 1)])
def test_co_occurrence_equals_brute_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, n_neighbours: int
) -> None:
    """Tokens with more latents than a chunk holds, latents on more tokens than go together."""
    monkeypatch.setattr(co_occurrence, "_TOKENS_AT_ONCE", 50)
    monkeypatch.setattr(co_occurrence, "_LATENTS_AT_ONCE", 40)
    data = random_lake(tmp_path, seed=seed, n_tokens=300, num_latents=260, n_buckets=7)
    fired = {latent: set(places) for latent, places in data.fired.items()}
    report = find_neighbours(
        data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(n_neighbours)
    )
    rows = rows_of(data.lake, "co-occurrence")
    assert rows == by_brute_force(fired, n_neighbours)
    assert report.rows == report.new_rows == len(rows)
    assert report.facts["latents"] == len({row.latent for row in rows})


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    fired=st.lists(st.frozensets(st.integers(0, 19), max_size=20), min_size=1, max_size=24),
    n_neighbours=st.integers(1, 30),
    n_buckets=st.integers(1, 5),
)
def test_co_occurrence_of_anything(
    tmp_path_factory: pytest.TempPathFactory,
    fired: list[frozenset[int]],
    n_neighbours: int,
    n_buckets: int,
) -> None:
    """Any activations, any buckets; one pair is equally similar both ways."""
    given_to: Fired = {latent: set(places) for latent, places in enumerate(fired)}
    folder = tmp_path_factory.mktemp("any")
    rows = co_occurring(folder, given_to, n_neighbours, n_buckets)
    assert rows == by_brute_force(given_to, n_neighbours)
    similarity = {(row.latent, row.neighbour): row.similarity for row in rows}
    for (latent, neighbour), value in similarity.items():
        assert similarity.get((neighbour, latent), value) == value
        assert given_to[latent] & given_to[neighbour]


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    data = random_lake(tmp_path)

    def find(n_neighbours: int) -> int:
        return find_neighbours(
            data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(n_neighbours)
        ).new_rows

    rows = find(4)
    assert rows > 0
    assert find(4) == 0
    (file,) = tmp_path.glob("neighbours/*/*/method=co-occurrence/all.parquet")
    file.write_bytes(b"cut")
    assert find(4) == rows


def test_a_run_stopped_halfway_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random_lake(tmp_path)
    nearest, calls = co_occurrence._nearest, []

    def stop(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return nearest(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(co_occurrence, "_LATENTS_AT_ONCE", 5)
        patched.setattr(co_occurrence, "_nearest", stop)
        with pytest.raises(KeyboardInterrupt):
            find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(4))
    assert rows_of(data.lake, "co-occurrence") == []
    assert not list(tmp_path.glob("staging/*"))
    find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(4))
    fired = {latent: set(places) for latent, places in data.fired.items()}
    assert rows_of(data.lake, "co-occurrence") == by_brute_force(fired, 4)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    profile, lake = profile_of(64, 32, 2), Lake(tmp_path)
    with pytest.raises(NotReadyError, match="contexts"):
        find_neighbours(profile, lake, HOOKPOINT, "co-occurrence", wanting(4))
    lake.claim_run(RUN, profile.run_config())
    with pytest.raises(NotReadyError, match="'activations' first"):
        find_neighbours(profile, lake, HOOKPOINT, "co-occurrence", wanting(4))
    with pytest.raises(NotReadyError, match="'sparse_coder' first"):
        find_neighbours(profile, lake, HOOKPOINT, "decoder", wanting(4))


def test_a_damaged_bucket_is_named(tmp_path: Path) -> None:
    data = random_lake(tmp_path)
    path = next(tmp_path.glob("activations/*/*/bucket=1/*.parquet"))
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(DataError, match="bucket=1"):
        find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", wanting(4))


def test_an_imported_run_has_no_weights_to_compare(tmp_path: Path) -> None:
    data = random_lake(tmp_path)
    with pytest.raises(NotReadyError, match=r"without its coder.*'co-occurrence'"):
        find_neighbours(data.profile, data.lake, HOOKPOINT, "encoder", wanting(4))


@pytest.fixture
def prepared(tiny_profile: Callable[..., Profile], tmp_path: Path) -> Profile:
    """A profile over a coder of its own, whose latent 3 has no weights, prepared in its lake."""
    from tests.parts.tiny_parts import make_coder

    make_coder(tmp_path / "coder", HOOKPOINT, seed=4)
    edit(tmp_path / "coder", lambda rows: rows.index_fill_(0, torch.tensor([3]), 0.0))
    profile = tiny_profile(coder={"sparse_model": str(tmp_path / "coder")})
    profile = profile.model_copy(
        update={"cache": profile.cache.model_copy(update={"hookpoints": (HOOKPOINT,)})}
    )
    prepare_coder(profile, Lake(profile.run.lake), HOOKPOINT)
    return profile


def edit(folder: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change the weights of encoder and decoder on disk."""
    path = folder / HOOKPOINT / "sae.safetensors"
    state = load_file(path)
    changed = {
        name: change(tensor.clone()) if tensor.ndim == 2 else tensor
        for name, tensor in state.items()
    }
    save_file(changed, path)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("method", ["decoder", "encoder"])
@pytest.mark.parametrize("n_neighbours", [3, 250])
def test_weights_equal_brute_force(
    prepared: Profile,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    n_neighbours: int,
) -> None:
    """Cosines in double precision, sorted whole; a latent without weights is left out."""
    coder = load_coder(str(prepared.coder.sparse_model), HOOKPOINT)
    weights = (coder.decoder_rows if method == "decoder" else coder.encoder_rows).double()
    width = len(weights)
    monkeypatch.setattr(weight_similarity, "_COSINES", 5 * width)
    lake = Lake(prepared.run.lake)
    find_neighbours(prepared, lake, HOOKPOINT, method, wanting(n_neighbours))
    rows = rows_of(lake, method)
    cosines = torch.nn.functional.cosine_similarity(weights[:, None], weights[None], dim=2)
    expected = []
    for latent in range(width):
        others = [other for other in range(width) if other not in (latent, 3)]
        others.sort(key=lambda other: -float(cosines[latent, other]))
        near = [] if latent == 3 else others[:n_neighbours]
        expected += [(latent, other, rank) for rank, other in enumerate(near, start=1)]
    assert [row[:3] for row in rows] == expected
    found = [cosines[row.latent, row.neighbour].item() for row in rows]
    assert [row.similarity for row in rows] == pytest.approx(found, abs=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_another_coder_is_refused(prepared: Profile) -> None:
    edit(Path(str(prepared.coder.sparse_model)), lambda rows: 2 * rows)
    with pytest.raises(ConflictError, match="its files were replaced"):
        find_neighbours(prepared, Lake(prepared.run.lake), HOOKPOINT, "decoder", wanting(4))


def test_settings_leave_the_run_alone(tmp_path: Path) -> None:
    """What is alike can be asked of any run, so it is no setting of the run's."""
    profile = profile_of(64, 32, 2)
    other = NeighbourSettings(methods=("decoder", "encoder"), n_neighbours=9)
    changed = profile.model_copy(update={"neighbours": other})
    assert json.dumps(changed.run_config()) == json.dumps(profile.run_config())
    assert "neighbours" not in json.dumps(profile.run_config())
    refused: list[dict[str, object]] = [
        {"methods": ["meaning"]},
        {"methods": []},
        {"n_neighbours": 0},
    ]
    for wrong in refused:
        with pytest.raises(SettingError, match=next(iter(wrong))):
            override(profile.neighbours, "launch", **wrong)


def method_of(*blocks: tuple[object, object, object]) -> type[NeighbourMethod]:
    """A method that gives these blocks of pairs."""

    class Own(NeighbourMethod):
        def find(self, place: NeighbourPlace) -> Iterator[Pairs]:
            return (Pairs(*map(np.asarray, block)) for block in blocks)

    return Own


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([([], [], []), ([1, 1], [2, 3], [0.5, 0.25]), ([4], [1], [1])], None),
        ([([1], [2], [0.5, 1])], r"gave arrays of shapes \[\[1\], \[1\], \[2\]\]; expected three"),
        ([([1.0], [2], [1])], "gave latents as float64 and int64"),
        ([([-1], [2], [1])], "gave latents from -1 to 2; .* from 0 to 11"),
        ([([1], [12], [1])], "gave latents from 1 to 12"),
        ([([1], [2], [float("nan")])], "gave a similarity that is no finite number"),
        ([([2], [1], [1]), ([2], [3], [1])], "pairs of latent 2 in a block after one of latent 2"),
        ([([2, 3], [1, 3], [1, 1])], "latent 3 as its own neighbour"),
        ([([2, 2], [1, 1], [1, 0])], "a pair twice"),
    ],
)
def test_neighbours_by_a_method_of_ones_own(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blocks: list[tuple[object, object, object]],
    problem: str | None,
) -> None:
    monkeypatch.setattr(NEIGHBOUR_METHODS, "_registered", {"own": method_of(*blocks)})
    data = random_lake(tmp_path)
    if problem is None:
        find_neighbours(data.profile, data.lake, HOOKPOINT, "own", wanting(1))
        assert rows_of(data.lake, "own") == [Pair(1, 2, 1, 0.5), Pair(4, 1, 1, 1.0)]
        return
    with pytest.raises(DataError, match=problem):
        find_neighbours(data.profile, data.lake, HOOKPOINT, "own", wanting(1))
    assert rows_of(data.lake, "own") == []


@pytest.mark.parametrize("block", [([1], [2]), 5, None])
def test_what_is_no_block_is_refused(block: object) -> None:
    blocks = cast("Iterator[Pairs]", iter([block]))
    with pytest.raises(
        DataError, match=r"'own' gave a \w+ that is no three arrays; expected three"
    ):
        list(fitting(blocks, "own", 12))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"methods": ["decodr"]},
            r"methods holds 'decodr'; .*\['co-occurrence'.* did you mean 'decoder'",
        ),
        ({"options": {"decoder": {"k": 1}}}, "the neighbour method 'decoder' takes no options"),
    ],
)
def test_methods_that_do_not_exist_are_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingError, match=problem):
        override(NeighbourSettings(), "test", **changes)

"""Sources of non-activating windows: by hand, against brute force, and mixed by share."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delphi_assets import connect
from delphi_assets.errors import ConflictError, DataError, NotReadyError, SettingError
from delphi_assets.lake.lake import File
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.examples import choose_examples, select_examples
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.selection.neighbours.method import Pairs
from delphi_assets.selection.neighbours.ranked import ranked
from delphi_assets.selection.non_activating import quotas
from delphi_assets.selection.non_activating.sources import Quota
from delphi_assets.selection.non_activating.window_lists import WindowLists
from delphi_assets.settings import NeighbourSettings, SelectionSettings, parse_profile
from tests.parts.random_lake import HOOKPOINT, RandomLake, random_lake
from tests.parts.sentence_encoders import embedded_lake, make_encoder

pytestmark = pytest.mark.slow

WINDOW = 8
Row = dict[str, Any]


def selection(source: object, **changes: object) -> SelectionSettings:
    base: dict[str, object] = {
        "example_ctx_len": WINDOW,
        "min_examples": 4,
        "max_examples": 40,
        "n_examples_train": 5,
        "n_examples_test": 4,
        "n_non_activating": 9,
        "n_quantiles": 3,
        "non_activating_source": source,
    }
    return SelectionSettings.model_validate({**base, **changes})


def chosen_rows(data: RandomLake, wanted: SelectionSettings) -> dict[int, list[Row]]:
    """Rows of examples by latent, as they are written."""
    select_examples(data.profile, data.lake, HOOKPOINT, wanted)
    found: dict[int, list[Row]] = {}
    with connect(data.lake) as con:
        rows = con.sql(
            "from examples where selection = $name order by latent, example",
            params={"name": wanted.name},
        )
        for row in rows.to_arrow_table().to_pylist():
            found.setdefault(row["latent"], []).append(row)
    return found


def silent(rows: list[Row], source: str | None = None) -> list[Row]:
    return [row for row in rows if not row["activating"] and source in (None, row["source"])]


def add_neighbours(data: RandomLake, pairs: dict[tuple[int, int], float]) -> None:
    """Publish these similarities as neighbours by decoder."""
    latents, others = np.array(list(pairs)).T
    config = {"neighbours.n_neighbours": 250, **data.profile.hookpoint_config(HOOKPOINT)}
    rows = ranked(Pairs(latents, others, np.array(list(pairs.values()))), 250)
    data.lake.publish(
        neighbours_unit(data.profile.run.name, HOOKPOINT, "decoder"), [File(rows)], config
    )


def find_co_occurring(data: RandomLake, n_neighbours: int = 250) -> None:
    wanted = NeighbourSettings(n_neighbours=n_neighbours)
    find_neighbours(data.profile, data.lake, HOOKPOINT, "co-occurrence", wanted)


def fires_in(data: RandomLake, latent: int) -> set[int]:
    """Whole aligned windows in which a latent fires."""
    whole = len(data.tokens) // WINDOW
    return {place // WINDOW for place in data.fired[latent] if place // WINDOW < whole}


def free_windows(data: RandomLake, latent: int, rows: list[Row], gap: int = 0) -> set[int]:
    """Windows that a source may give to the latent, if it is asked first.

    `gap` windows on either side of those shown are not free.
    """
    taken = fires_in(data, latent)
    for row in rows:
        if row["activating"]:
            first, last = row["position"] // WINDOW, (row["position"] + WINDOW - 1) // WINDOW
            taken |= set(range(first - gap, last + gap + 1))
    return set(range(len(data.tokens) // WINDOW)) - taken


def draw(seed: int, latent: int, window: int) -> int:
    """The window's place in the order of draws, see sql/examples/1_macros/draw.sql."""
    digest = hashlib.md5(f"{seed} random {HOOKPOINT} {latent}".encode()).digest()
    x = window ^ int.from_bytes(digest[8:], "little") % 2**32
    for _ in range(2):
        x = (x ^ x >> 16) * 73244475 % 2**32
    return x ^ x >> 16


def of_neighbours(
    data: RandomLake, latent: int, rows: list[Row], near: list[int], n: int
) -> list[tuple[int, int]]:
    """(window, neighbour) by the rules, one window after the other."""
    free, found = free_windows(data, latent, rows), list[tuple[int, int]]()
    for neighbour in near:
        offered = sorted(
            free & fires_in(data, neighbour),
            key=lambda window: draw(data.profile.run.seed, latent, window),
        )[: min(10, n - len(found))]
        found += [(window, neighbour) for window in offered]
        free -= set(offered)
    return sorted(found)


def test_windows_of_neighbours_by_hand(tmp_path: Path) -> None:
    """Windows of 8: latent 1 fires in 0-3; its neighbours are 3, in 2-5, and then 2, in 0, 5, 6."""
    data = random_lake(tmp_path, n_tokens=64, num_latents=4, n_buckets=1, example_ctx_len=WINDOW)
    fresh = rewritten(
        data,
        tmp_path / "hand",
        {
            0: {},
            1: {0: 1.0, 8: 1.0, 16: 1.0, 24: 1.0},
            2: {7: 1.0, 40: 2.0, 48: 3.0, 50: 0.5},
            3: {16: 1.0, 31: 1.0, 33: 1.5, 47: 2.5},
        },
    )
    add_neighbours(fresh, {(1, 2): 0.25, (1, 3): 0.5, (2, 1): 0.25, (3, 1): 0.5})
    wanted = selection("decoder", min_examples=1, n_examples_train=1, n_non_activating=4)
    rows = chosen_rows(fresh, wanted)
    found = [
        (row["position"], row["source"], row["neighbour"], row["similarity"])
        for row in silent(rows[1])
    ]
    assert found == [(32, "decoder", 3, 0.5), (40, "decoder", 3, 0.5), (48, "decoder", 2, 0.25)]
    assert [row["neighbour_activations"] for row in silent(rows[1])] == [
        [0, 1.5, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 2.5],
        [3.0, 0, 0.5, 0, 0, 0, 0, 0],
    ]
    assert all(row["activations"] == [0] * 8 for row in silent(rows[1]))
    assert all(row["neighbour_activations"] is None for row in rows[1] if row["activating"])
    assert shortfalls(fresh)[1]["non_activating_missing"] == 1
    assert shortfalls(fresh)[1]["lacking"] == "decoder: 3 of 4"


def rewritten(data: RandomLake, folder: Path, fired: dict[int, dict[int, float]]) -> RandomLake:
    """The same corpus in a lake of its own, with other activations."""
    from delphi_assets.lake.lake import Lake
    from tests.parts.random_lake import write_activations, write_corpus

    fresh = RandomLake(Lake(folder), data.profile, data.tokens, fired)
    fresh.lake.claim_run("random", data.profile.run_config())
    write_corpus(fresh.lake, fresh.profile, fresh.tokens)
    write_activations(fresh.lake, fresh.profile, fired, len(fired))
    return fresh


def shortfalls(data: RandomLake, name: str = "default") -> dict[int, Row]:
    with connect(data.lake) as con:
        rows = con.sql("from shortfalls where selection = $name", params={"name": name})
        return {row["latent"]: row for row in rows.to_arrow_table().to_pylist()}


@pytest.mark.parametrize("centred", [False, True])
def test_windows_of_neighbours_equal_the_reference(tmp_path: Path, centred: bool) -> None:
    data = random_lake(tmp_path, n_tokens=3_000, num_latents=20, example_ctx_len=WINDOW)
    find_co_occurring(data, n_neighbours=6)
    with connect(data.lake) as con:
        near = con.sql("from neighbours order by latent, rank").to_arrow_table().to_pylist()
    similarity = {(row["latent"], row["neighbour"]): row["similarity"] for row in near}
    wanted = selection("co-occurrence", n_non_activating=25, center_examples=centred)
    compared = 0
    for latent, rows in chosen_rows(data, wanted).items():
        others = [row["neighbour"] for row in near if row["latent"] == latent]
        found = silent(rows)
        assert sorted((row["position"] // WINDOW, row["neighbour"]) for row in found) == (
            of_neighbours(data, latent, rows, others, 25)
        )
        for row in found:
            fired = data.fired[row["neighbour"]]
            places = range(row["position"], row["position"] + WINDOW)
            assert row["neighbour_activations"] == [fired.get(place, 0.0) for place in places]
            assert row["similarity"] == similarity[latent, row["neighbour"]]
            assert max(row["neighbour_activations"]) > 0
        compared += len({row["neighbour"] for row in found}) > 1
    assert compared >= 10


def test_semantic_windows_by_hand(tmp_path: Path) -> None:
    """Windows 0 and 1 are shown; in turns they give their nearest, 0.9 before 0.8, then the next.

    Window 5 is near to both, and counts once: in the turn of the one that comes to it first.
    """
    data = random_lake(tmp_path, n_tokens=64, num_latents=2, n_buckets=1, example_ctx_len=WINDOW)
    fresh = rewritten(data, tmp_path / "hand", {0: {}, 1: {0: 2.0, 8: 1.0, 63: 0.5}})
    # Cosines with the axes, which windows 0 and 1 are; window 7 is not shown, but loud.
    with_first, with_second = [1, 0, 0.1, 0.8, 0.7, 0.6, 0, 1], [0, 1, 0.9, 0, 0, 0.5, 0.4, 0]
    embedded_lake(fresh, np.array([with_first, with_second, [0] * 8]).T, WINDOW)
    wanted = selection(
        "semantic",
        min_examples=1,
        n_examples_train=2,
        n_examples_test=0,
        n_non_activating=4,
        train_type="top",
        semantic_gap=0,
    )
    ranked_windows = ["2 by 1", "3 by 0", "4 by 0", "5 by 1", "6 by 1"]
    for n in range(6):
        rows = choose_examples(
            fresh.profile,
            fresh.lake,
            HOOKPOINT,
            wanted.model_copy(update={"n_non_activating": n}),
        ).to_pylist()
        found = {row["position"] // WINDOW: row["similarity"] for row in silent(rows)}
        assert sorted(found) == sorted(int(name[0]) for name in ranked_windows[:n])
    assert found == pytest.approx({2: 0.9, 3: 0.8, 4: 0.7, 5: 0.6, 6: 0.4}, abs=1e-3)


def test_no_semantic_window_stands_next_to_one_that_is_shown(tmp_path: Path) -> None:
    """Window 0 is shown: 1, the most like it, is left out, and with a wider gap 2 as well."""
    data = random_lake(tmp_path, n_tokens=64, num_latents=2, n_buckets=1, example_ctx_len=WINDOW)
    fresh = rewritten(data, tmp_path / "hand", {0: {}, 1: {0: 2.0}})
    alike = np.array([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    embedded_lake(fresh, np.array([alike, np.zeros(8)]).T, WINDOW)
    wanted = selection(
        "semantic", min_examples=1, n_examples_train=1, n_examples_test=0, n_non_activating=2
    )
    for gap, expected in ((0, [1, 2]), (1, [2, 3]), (2, [3, 4])):
        asked = wanted.model_copy(update={"semantic_gap": gap})
        rows = choose_examples(fresh.profile, fresh.lake, HOOKPOINT, asked).to_pylist()
        assert [row["position"] // WINDOW for row in silent(rows)] == expected


def in_turns(vectors: np.ndarray, shown: list[int], free: set[int], n: int) -> list[int]:
    """The windows nearest in meaning by the rules, sorting everything."""
    whole = np.rint(vectors * 2_048).astype(np.int64)
    products = whole @ whole[shown].T
    turn: dict[int, int] = {}
    for place in range(len(shown)):
        order = sorted(free, key=lambda window: (-products[window, place], window))
        for number, window in enumerate(order):
            turn[window] = min(number, turn.get(window, number))
    return sorted(free, key=lambda window: (turn[window], -products[window].max(), window))[:n]


@pytest.mark.parametrize("centred", [False, True])
def test_semantic_windows_equal_the_reference(
    tmp_path: Path, centred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared in several blocks, with windows of equal meaning among them."""
    from delphi_assets.selection.non_activating import semantic

    monkeypatch.setattr(semantic, "_ROWS", 20)
    monkeypatch.setattr(semantic, "_PRODUCTS", 1_000)
    data = random_lake(tmp_path, n_tokens=1_503, num_latents=20, example_ctx_len=WINDOW)
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1_503 // WINDOW, 6))
    vectors[100:150] = vectors[:50]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedded_lake(data, vectors, WINDOW)
    wanted = selection("semantic", n_non_activating=20, center_examples=centred)
    compared = 0
    for latent, rows in chosen_rows(data, wanted).items():
        shown = [
            min((row["position"] + WINDOW // 2) // WINDOW, len(vectors) - 1)
            for row in rows
            if row["activating"]
        ]
        expected = in_turns(vectors, shown, free_windows(data, latent, rows, gap=1), 20)
        found = {row["position"] // WINDOW: row["similarity"] for row in silent(rows)}
        assert sorted(found) == sorted(expected)
        for window, similarity in found.items():
            nearest = (vectors[shown] @ vectors[window]).max()
            assert similarity == pytest.approx(nearest, abs=(6**0.5 + 1) / 2_048)
        compared += 1
    assert compared >= 10


class Mixed(NamedTuple):
    """Sources with their shares, and how many windows each is asked for."""

    shares: dict[str, float]
    n: int
    asked: list[int]


@pytest.mark.parametrize(
    "mixed",
    [
        Mixed({"random": 0.5, "semantic": 0.5}, 9, [5, 4]),
        Mixed({"random": 1, "semantic": 1, "decoder": 1}, 50, [17, 17, 16]),
        Mixed({"random": 0.1, "semantic": 0.9}, 4, [0, 4]),
        Mixed({"random": 29, "decoder": 71}, 100, [29, 71]),
        Mixed({"random": 3, "decoder": 3}, 0, [0, 0]),
    ],
)
def test_shares_are_exact(mixed: Mixed) -> None:
    """The largest remainders get what is left, the first of equal ones."""
    found = quotas(selection(mixed.shares, n_non_activating=mixed.n))
    assert found == [Quota(*item) for item in zip(mixed.shares, mixed.asked, strict=True)]


@pytest.fixture(scope="module")
def same_lakes(tmp_path_factory: pytest.TempPathFactory) -> list[list[RandomLake]]:
    """Lakes of three sizes with all that sources need, each in one bucket and in four."""
    found = []
    for n_tokens in (203, 700, 1_500):
        vectors = np.random.default_rng(n_tokens).normal(size=(n_tokens // WINDOW, 4))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        pair = []
        for n_buckets in (1, 4):
            folder = tmp_path_factory.mktemp("lake")
            data = random_lake(
                folder, n_tokens=n_tokens, n_buckets=n_buckets, example_ctx_len=WINDOW
            )
            find_co_occurring(data)
            embedded_lake(data, vectors, WINDOW)
            pair.append(data)
        found.append(pair)
    return found


@settings(max_examples=15)
@given(
    size=st.integers(0, 2),
    centred=st.booleans(),
    sources=st.permutations(["random", "co-occurrence", "semantic"]),
    shares=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    n_silent=st.integers(0, 30),
)
def test_properties(
    same_lakes: list[list[RandomLake]],
    size: int,
    centred: bool,
    sources: list[str],
    shares: list[int],
    n_silent: int,
) -> None:
    """Silent, distinct, apart from what is shown, by share, and the same under any bucket count."""
    shared = dict(zip(sources, shares, strict=False))
    name = f"{centred}-{n_silent}-" + "-".join(f"{key}{share}" for key, share in shared.items())
    wanted = selection(shared, name=name, n_non_activating=n_silent, center_examples=centred)
    found = [(chosen_rows(data, wanted), shortfalls(data, name)) for data in same_lakes[size]]
    (by_latent, short), again = found
    data = same_lakes[size][0]
    assert (by_latent, short) == again
    for latent, rows in by_latent.items():
        places = [place for row in rows for place in range(row["position"], row["position"] + 8)]
        assert len(places) == len(set(places))
        for row in silent(rows):
            assert not any(
                place in data.fired[latent] for place in range(row["position"], row["position"] + 8)
            )
        missing = {
            quota.source: quota.n - len(silent(rows, quota.source)) for quota in quotas(wanted)
        }
        row = short.get(latent, {"non_activating_missing": 0, "lacking": None})
        assert row["non_activating_missing"] == sum(missing.values())
        assert min(missing.values()) >= 0
        for source, n_missing in missing.items():
            assert (f"{source}: " in (row["lacking"] or "")) == (n_missing > 0)
        beside = free_windows(data, latent, rows) - free_windows(data, latent, rows, gap=1)
        assert not beside & {row["position"] // WINDOW for row in silent(rows, "semantic")}
        last = list(shared)[-1]
        free = free_windows(data, latent, rows, gap=int(last == "semantic"))
        if len(free) >= n_silent and last != "co-occurrence":
            assert missing[last] == 0


@pytest.mark.parametrize("source", ["co-occurrence", "semantic"])
def test_latents_without_a_pool_get_nothing(
    same_lakes: list[list[RandomLake]], source: str
) -> None:
    """Latent 0 is dead; a bucket may hold no other."""
    data = same_lakes[0][0]
    rows = choose_examples(data.profile, data.lake, HOOKPOINT, selection(source, latents="0"))
    assert rows.num_rows == 0


def test_windows_differ_between_latents_and_seeds(tmp_path: Path) -> None:
    """Two latents with the same firings get different windows of the same neighbour."""
    data = random_lake(tmp_path, n_tokens=2_000, num_latents=4, example_ctx_len=WINDOW)
    fired = {0: {}, 1: data.fired[1], 2: data.fired[1], 3: data.fired[3]}
    fresh = rewritten(data, tmp_path / "twins", fired)
    add_neighbours(fresh, {(1, 3): 0.5, (2, 3): 0.5})
    rows = chosen_rows(fresh, selection("decoder"))
    first, second = ({row["position"] for row in silent(rows[latent])} for latent in (1, 2))
    assert len(first) == len(second) == 9
    assert first != second


def test_a_name_stands_for_its_sources(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    find_co_occurring(data)
    mixed = {"random": 1, "co-occurrence": 1}
    select_examples(data.profile, data.lake, HOOKPOINT, selection(mixed))
    same = selection({"random": 0.5, "co-occurrence": 0.5}, sentence_encoder="unused")
    assert select_examples(data.profile, data.lake, HOOKPOINT, same).new_rows == 0
    for other in ("random", {"co-occurrence": 1, "random": 1}, {"random": 2, "co-occurrence": 1}):
        with pytest.raises(ConflictError, match="non_activating_source"):
            select_examples(data.profile, data.lake, HOOKPOINT, selection(other))


def test_missing_neighbours_are_named(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    with pytest.raises(NotReadyError, match=r"'encoder'.*'neighbours' with neighbours.methods"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection("encoder"))


@pytest.mark.parametrize(
    "source",
    ["nearest", {}, {"random": 0}, {"random": -1}, {"random": "half"}, {"nearest": 1}, [], 3],
)
def test_odd_sources_are_refused(source: object) -> None:
    raw: dict[str, object] = {
        "run": {"name": "r"},
        "model": {"name": "m"},
        "corpus": {"dataset_repo": "d"},
        "cache": {"hookpoints": ["layers.1"]},
        "coder": {"sparse_model": "c"},
        "selection": {"non_activating_source": source},
    }
    with pytest.raises(SettingError) as refusal:
        parse_profile(raw)
    shown = (
        f"a table of {', '.join(source) or 'nothing'}"
        if isinstance(source, dict)
        else f"{source!r}"
    )
    assert f"selection.non_activating_source = {shown}; expected" in str(refusal.value)


def test_a_profile_finds_the_neighbours_it_asks_for() -> None:
    raw: dict[str, object] = {
        "run": {"name": "r"},
        "model": {"name": "m"},
        "corpus": {"dataset_repo": "d"},
        "cache": {"hookpoints": ["layers.1"]},
        "coder": {"sparse_model": "c"},
        "selection": {"non_activating_source": {"decoder": 1, "random": 3}},
    }
    with pytest.raises(SettingError, match=r"neighbours by \['decoder'\], but neighbours.methods"):
        parse_profile(raw)
    found = parse_profile({**raw, "neighbours": {"methods": ["decoder"]}})
    assert found.selection.non_activating_source == {"decoder": 0.25, "random": 0.75}


def test_the_launchpad_takes_shares() -> None:
    """In their order; a field left empty is the profile's."""
    from dagster_project.assets.examples import ExamplesConfig
    from dagster_project.launch import launched

    shares = {"semantic": 3.0, "random": 1.0}
    for chosen, expected in ((shares, {"semantic": 0.75, "random": 0.25}), ({}, {"random": 1.0})):
        config = ExamplesConfig(non_activating_source=chosen)
        found = launched(SelectionSettings(), "examples", config).non_activating_source
        assert list(found.items()) == list(expected.items())


def test_embeddings_are_written_once_and_continued(tmp_path: Path) -> None:
    """A shard that is lost is written as it was; every whole window has its vector."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    encoder = make_encoder(tmp_path / "encoder")
    wanted = selection("semantic", sentence_encoder=str(encoder))
    rows = chosen_rows(data, wanted)
    files = sorted((tmp_path / "embeddings").rglob("*.parquet"))
    assert len(files) == data.profile.n_shards
    before = [file.read_bytes() for file in files]
    kept = files[0].stat().st_mtime_ns
    files[1].unlink()
    again = choose_examples(data.profile, data.lake, HOOKPOINT, wanted)
    written = sorted((tmp_path / "embeddings").rglob("*.parquet"))
    assert [file.read_bytes() for file in written] == before
    assert files[0].stat().st_mtime_ns == kept
    expected = [row["position"] for latent in rows.values() for row in latent]
    assert again["position"].to_pylist() == expected
    with connect(data.lake) as con:
        places = con.sql("from embeddings order by position").to_arrow_table()
    assert places["position"].to_pylist() == list(range(0, len(data.tokens) - 7, WINDOW))
    assert set(places["sentence_encoder"].to_pylist()) == {str(encoder)}
    norms = np.array([np.linalg.norm(vector) for vector in places["embedding"].to_pylist()])
    assert np.abs(norms / 2_048 - 1).max() < 0.002
    assert isinstance(places["embedding"].type, pa.ListType)


def test_an_encoder_that_changed_does_not_continue_embeddings(tmp_path: Path) -> None:
    """What is whole needs no encoder, and none but the one that it was made with."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    encoder = make_encoder(tmp_path / "encoder")
    wanted = selection("semantic", sentence_encoder=str(encoder))
    expected = choose_examples(data.profile, data.lake, HOOKPOINT, wanted)
    encoder.rename(tmp_path / "away")
    assert choose_examples(data.profile, data.lake, HOOKPOINT, wanted) == expected
    (tmp_path / "away").rename(encoder)
    (encoder / "modules.json").unlink()
    with pytest.raises(ConflictError, match=r"encoder selection.sentence_encoder = .* replaced"):
        choose_examples(data.profile, data.lake, HOOKPOINT, wanted)
    sorted((tmp_path / "embeddings").rglob("all.parquet"))[1].unlink()
    with pytest.raises(ConflictError, match=r"encoder selection.sentence_encoder = .* replaced"):
        choose_examples(data.profile, data.lake, HOOKPOINT, wanted)


def test_damaged_embeddings_are_named(tmp_path: Path) -> None:
    """Of the right size, but with another bit; the advice names an asset that there is."""
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    embedded_lake(data, np.eye(4)[np.arange(1_000 // WINDOW) % 4], WINDOW)
    file = sorted((tmp_path / "embeddings").rglob("all.parquet"))[0]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"{file} .*delete it; materialize the asset 'examples'"):
        select_examples(data.profile, data.lake, HOOKPOINT, selection("semantic"))


@pytest.mark.parametrize("n_train", [0, 3, 50])
def test_silent_windows_for_the_explainer(tmp_path: Path, n_train: int) -> None:
    """Scorers are served first, then the explainer, from both sources and no window twice."""
    data = random_lake(tmp_path, n_tokens=600, example_ctx_len=WINDOW)
    embedded_lake(data, np.eye(4)[np.arange(600 // WINDOW) % 4], WINDOW)
    mixed = {"random": 0.5, "semantic": 0.5}
    wanted = selection(mixed, n_non_activating=6, n_non_activating_train=n_train)
    by_latent = chosen_rows(data, wanted)
    sources = set()
    for rows in by_latent.values():
        found = silent(rows)
        assert len({row["position"] for row in found}) == len(found)
        of_train = [row for row in found if row["split"] == "train"]
        n_test = len(found) - len(of_train)
        assert n_test == min(6, len(found))
        assert len(of_train) <= n_train
        sources |= {(row["split"], row["source"]) for row in found}
    assert len(by_latent) >= 5
    assert sources >= {("test", "random"), ("test", "semantic")}
    assert (("train", "random") in sources) == (("train", "semantic") in sources) == (n_train > 0)
    report = select_examples(data.profile, data.lake, HOOKPOINT, wanted)
    total = sum(len(silent(rows)) for rows in by_latent.values())
    counts = [report.facts[name] for name in ("non_activating", "non_activating_train")]
    assert sum(map(int, counts)) == total
    missing = {latent: row["non_activating_missing"] for latent, row in shortfalls(data).items()}
    for latent, rows in by_latent.items():
        assert missing.get(latent, 0) == 6 + n_train - len(silent(rows))


def test_equally_near_windows_are_not_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many windows mean the same: the first are taken, and no more are remembered."""
    from delphi_assets.selection.non_activating import semantic

    monkeypatch.setattr(semantic, "_PRODUCTS", 100)
    kept: list[int] = []

    def in_turns_counted(near: Any, n: int) -> Any:
        kept.append(len(near.window))
        return in_turns_of(near, n)

    in_turns_of = semantic._in_turns
    monkeypatch.setattr(semantic, "_in_turns", in_turns_counted)
    lists = pa.table({"latent": [5, 5], "window": [0, 1]})
    shown = WindowLists.of(lists)
    same = np.full((1_000, 2), 1_448, np.int16)
    rows = semantic.nearest_windows(shown, shown, same, length=WINDOW, n=3, device="cpu")
    assert rows["position"].to_pylist() == [16, 24, 32]
    assert kept == [2 * 3]


def test_latents_that_are_not_there_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    wanted = selection("semantic", latents="12-20", sentence_encoder="no such encoder")
    with pytest.raises(SettingError, match=r"'12-20' names none of the 12 latents"):
        select_examples(data.profile, data.lake, HOOKPOINT, wanted)


def test_one_latent_gets_what_it_gets_among_all(tmp_path: Path) -> None:
    data = random_lake(tmp_path, example_ctx_len=WINDOW)
    find_co_occurring(data)
    embedded_lake(data, np.eye(4)[np.arange(1_000 // WINDOW) % 4], WINDOW)
    mixed = {"co-occurrence": 1, "semantic": 1, "random": 1}
    everything = chosen_rows(data, selection(mixed, name="all", n_non_activating_train=4))
    one = selection(mixed, name="one", n_non_activating_train=4, latents="7")
    (found,) = chosen_rows(data, one).items()
    latent, rows = found
    expected = [{**row, "selection": "one"} for row in everything[7]]
    assert (latent, rows) == (7, expected)
    assert shortfalls(data, "one").keys() <= {7}

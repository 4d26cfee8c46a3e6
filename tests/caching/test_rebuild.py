"""What another version of the code writes again, and what only when it is told to `rebuild`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from delphi_assets.caching import contexts
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.errors import ConflictError, NotReadyError
from delphi_assets.lake.code_versions import CODE_VERSIONS
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.units import contexts_unit, vocabulary_unit
from delphi_assets.selection.latents import describe_latents
from delphi_assets.settings import Profile
from tests.caching.test_activations import HOOKPOINT, rows
from tests.parts.tiny_parts import LATENTS

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]


@pytest.fixture
def profile(tiny_profile: Callable[..., Profile]) -> Profile:
    """One hookpoint in three shards and three buckets."""
    return tiny_profile(cache={"hookpoints": [HOOKPOINT]})


@pytest.fixture
def lake(profile: Profile) -> Lake:
    """A lake with merged activations."""
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    prepare_coder(profile, lake, HOOKPOINT)
    capture(profile, lake, range(profile.n_shards))
    merge_shards(profile, lake, HOOKPOINT)
    return lake


def test_weights_are_written_again(
    profile: Profile,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = prepare_coder(profile, lake, HOOKPOINT)
    monkeypatch.setitem(CODE_VERSIONS, "weights", 2)
    after = prepare_coder(profile, lake, HOOKPOINT)
    assert (before.new_rows, after.new_rows) == (0, LATENTS)
    assert after.code_versions == (2,)
    assert after.data_version == before.data_version, "the same rows came out"
    assert "weights (run=tiny, hookpoint=layers.0) all is written again: code version 1" in (
        caplog.text
    )
    assert prepare_coder(profile, lake, HOOKPOINT).new_rows == 0
    assert len(list(Path(lake.root, "weights").rglob("*.parquet"))) == 1


def test_what_was_captured_stays_until_it_is_rebuilt(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards, before = range(profile.n_shards), sorted(rows(lake, "activations"))
    first = capture(profile, lake, shards)
    assert (first.new_rows, first.outdated) == (0, None)
    monkeypatch.setitem(CODE_VERSIONS, "captured", 4)
    kept = capture(profile, lake, shards)
    assert (kept.new_rows, kept.code_versions) == (0, (3,))
    assert kept.data_version == first.data_version
    assert kept.outdated == (
        "code version 3, now 4: kept. rebuild = true writes it again, which takes a forward pass "
        "over the 1,000 tokens of these 3 shards."
    )
    # Stopped after the first shard, and launched again.
    assert capture(profile, lake, [0], rebuild=True).new_rows > 0
    rest = capture(profile, lake, shards, rebuild=True)
    assert 0 < rest.new_rows < rest.rows == len(before)
    assert (rest.code_versions, rest.outdated) == ((4,), None)
    assert rest.data_version != first.data_version
    assert capture(profile, lake, shards, rebuild=True).new_rows == 0


def test_what_was_captured_again_is_merged_when_it_is_rebuilt(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was captured goes before it is merged."""
    shards, before = range(profile.n_shards), sorted(rows(lake, "activations"))
    monkeypatch.setitem(CODE_VERSIONS, "activations", 3)
    kept = merge_shards(profile, lake, HOOKPOINT)
    assert (kept.new_rows, kept.code_versions) == (0, (2,))
    assert kept.outdated is not None
    assert "code version 2, now 3: kept. rebuild = true" in kept.outdated
    assert "a forward pass over 1,000 tokens" in kept.outdated
    with pytest.raises(NotReadyError, match=r"'captured' first, with rebuild = true"):
        merge_shards(profile, lake, HOOKPOINT, rebuild=True)
    assert capture(profile, lake, shards, rebuild=True).new_rows == len(before)
    assert merge_shards(profile, lake, HOOKPOINT).new_rows == 0
    assert sorted(rows(lake, "captured")) == before
    merged = merge_shards(profile, lake, HOOKPOINT, rebuild=True)
    assert (merged.new_rows, merged.outdated) == (len(before), None)
    assert sorted(rows(lake, "activations")) == before
    assert not lake.holds("captured", run="tiny", hookpoint=HOOKPOINT)
    assert capture(profile, lake, shards, rebuild=True).new_rows == 0
    assert merge_shards(profile, lake, HOOKPOINT, rebuild=True).new_rows == 0


def reversed_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of the code that gives other tokens of the same corpus."""
    real = contexts.tokenize

    def other(*given: object) -> object:
        for piece in real(*given):  # type: ignore[arg-type]  # it passes on what it gets
            yield piece._replace(tokens=piece.tokens[::-1])

    monkeypatch.setattr(contexts, "tokenize", other)
    monkeypatch.setitem(CODE_VERSIONS, "contexts", 2)


def test_other_tokens_take_what_was_captured_with_them(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations of contexts that are others now are refused until they are captured again."""
    reversed_documents(monkeypatch)
    shards, kept = range(profile.n_shards), build_contexts(profile, lake)
    assert (kept.new_rows, kept.code_versions) == (0, (1,))
    assert kept.outdated is not None
    assert "code version 1, now 2: kept. rebuild = true writes it again" in kept.outdated
    assert describe_latents(profile, lake, HOOKPOINT).rows == LATENTS
    made = build_contexts(profile, lake, rebuild=True)
    assert (made.new_rows, made.outdated) == (made.rows, None)
    assert made.data_version != kept.data_version
    monkeypatch.setitem(CODE_VERSIONS, "latents", 3)
    with pytest.raises(ConflictError, match=r"made from other contexts.*'captured', then 'act"):
        describe_latents(profile, lake, HOOKPOINT)
    told = capture(profile, lake, shards)
    assert told.new_rows == 0
    assert told.outdated is not None
    assert "made from other contexts than are there now" in told.outdated
    assert capture(profile, lake, shards, rebuild=True).new_rows > 0
    assert merge_shards(profile, lake, HOOKPOINT, rebuild=True).new_rows > 0
    assert describe_latents(profile, lake, HOOKPOINT).new_rows == LATENTS


def test_a_vocabulary_that_was_not_counted_again_is_when_it_goes_on(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the last shard and the vocabulary."""
    reversed_documents(monkeypatch)

    class KilledError(BaseException):
        pass

    def killed(*given: object, **named: object) -> None:
        raise KilledError

    with monkeypatch.context() as stopped:
        stopped.setattr(contexts, "_write_vocabulary", killed)
        with pytest.raises(KilledError):
            build_contexts(profile, lake, rebuild=True)
    before = lake.manifest(vocabulary_unit("tiny"))
    assert build_contexts(profile, lake, rebuild=True).new_rows == 0
    after = lake.manifest(vocabulary_unit("tiny"))
    assert before is not None
    assert after is not None
    assert before.inputs != after.inputs
    assert build_contexts(profile, lake, rebuild=True).outdated is None
    assert lake.manifest(vocabulary_unit("tiny")) == after


def test_a_shard_of_other_tokens_does_not_stand_beside_the_rest(
    profile: Profile, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was lost is not written by code that gives other tokens."""
    reversed_documents(monkeypatch)
    manifest = lake.manifest(contexts_unit("tiny", 1))
    assert manifest is not None
    Path(lake.location(manifest.files[0].path)).unlink()
    with pytest.raises(ConflictError, match=r"is of code version 1, now 2.*rebuild = true"):
        build_contexts(profile, lake)
    assert build_contexts(profile, lake, rebuild=True).new_rows > 0

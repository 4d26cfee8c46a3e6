"""Packing loses no token, and the lake holds what the model will read."""

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.caching import contexts as contexts_module
from delphi_assets.caching.contexts import (
    Context,
    Piece,
    build_contexts,
    contexts_config,
    pack,
    token_texts,
    tokenize,
)
from delphi_assets.caching.corpus import Document, read_documents
from delphi_assets.errors import ConflictError, DataError, SettingError
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.models.subject import load_tokenizer
from delphi_assets.settings import ModelSettings, Profile

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

BOS = 999
pieces_of = st.lists(st.lists(st.integers(0, 50), max_size=12), max_size=12).map(
    lambda documents: [Piece(f"d{i}", tokens) for i, tokens in enumerate(documents)]
)


@given(pieces_of, st.integers(2, 9), st.sampled_from([None, BOS]), st.integers(1, 80))
def test_packing_invariants(
    pieces: list[Piece], length: int, bos: int | None, n_tokens: int
) -> None:
    packed = list(pack(pieces, length, bos, n_tokens))
    head = [] if bos is None else [bos]
    stream = [token for piece in pieces for token in piece.tokens]
    kept = [token for context in packed for token in context.tokens[len(head) :]]

    assert all(context.tokens[: len(head)] == head for context in packed)
    assert all(len(context.tokens) == length for context in packed[:-1])
    assert all(len(head) < len(context.tokens) <= length for context in packed)
    assert kept == stream[: len(kept)]
    assert sum(len(context.tokens) for context in packed) <= n_tokens
    if len(kept) < len(stream):
        # Stopped by n_tokens: at most a lone BOS would still have fitted.
        assert n_tokens - sum(len(context.tokens) for context in packed) <= len(head)


@given(pieces_of, st.integers(2, 9), st.sampled_from([None, BOS]))
def test_document_starts_give_the_documents_back(
    pieces: list[Piece], length: int, bos: int | None
) -> None:
    rebuilt: dict[str, list[int]] = {}
    first = 0 if bos is None else 1
    for context in pack(pieces, length, bos, 10_000):
        starts = context.document_starts
        assert starts[0] == first
        assert starts == sorted(set(starts))
        for name, start, end in zip(
            context.document_ids, starts, [*starts[1:], len(context.tokens)], strict=True
        ):
            rebuilt.setdefault(name, []).extend(context.tokens[start:end])
    assert rebuilt == {piece.document: piece.tokens for piece in pieces if piece.tokens}


def test_packing_by_hand() -> None:
    pieces = [Piece("a", [1, 2, 3]), Piece("b", [4]), Piece("c", [5, 6])]
    assert list(pack(pieces, 4, BOS, 7)) == [
        Context([BOS, 1, 2, 3], ["a"], [1]),
        Context([BOS, 4, 5], ["b", "c"], [1, 2]),
    ]


def stored(profile: Profile, lake: Lake) -> pa.Table:
    return read_parquet(lake, lake.files("contexts", run=profile.run.name)).sort_by("context")


def test_every_token_of_the_corpus_is_stored(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile(cache={"n_tokens": 10_000})
    lake = Lake(profile.run.lake)
    report = build_contexts(profile, lake)
    rows = stored(profile, lake)
    tokenizer = load_tokenizer(profile.model)
    stream = [
        token
        for document in read_documents(profile.corpus, seed=22)
        for token in [
            *tokenizer(document.text, add_special_tokens=False)["input_ids"],
            tokenizer.eos_token_id,
        ]
    ]
    packed = rows["tokens"].to_pylist()
    assert all(tokens[0] == tokenizer.bos_token_id for tokens in packed)
    assert [token for tokens in packed for token in tokens[1:]] == stream
    assert rows["context"].to_pylist() == list(range(len(packed)))
    assert report.rows == report.new_rows == len(packed)
    assert report.facts["tokens"] == sum(map(len, packed)) < profile.cache.n_tokens


def test_a_corpus_that_ends_early_publishes_empty_shards(
    tiny_profile: Callable[..., Profile],
) -> None:
    profile = tiny_profile(cache={"n_tokens": 10_000})
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    manifests = lake.manifests("contexts", run="tiny")
    assert len(manifests) == profile.n_shards
    assert {manifest.keys["shard"] for manifest in manifests if not manifest.rows}


def test_vocabulary_counts_what_is_stored(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    vocabulary = read_parquet(lake, lake.files("vocabulary", run="tiny")).to_pylist()
    tokens = [token for row in stored(profile, lake)["tokens"].to_pylist() for token in row]
    assert len(tokens) == profile.cache.n_tokens
    assert [row["token"] for row in vocabulary] == list(range(320))
    assert {row["token"]: row["count"] for row in vocabulary if row["count"]} == {
        token: tokens.count(token) for token in set(tokens)
    }
    assert [row["str_token"] for row in vocabulary if row["special"]] == ["<pad>", "<eos>", "<bos>"]
    assert " the" in {row["str_token"] for row in vocabulary}


def test_sentencepiece_tokens_keep_their_leading_space() -> None:
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = {"▁the": 0, "the": 1, "▁": 2, "<unk>": 3}
    raw = Tokenizer(models.Unigram([(piece, 0.0) for piece in pieces], unk_id=3))
    raw.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>")
    assert token_texts(tokenizer, 6) == [" the", "the", " ", "<unk>", "", ""]


@pytest.mark.parametrize("shuffle_buffer", [0, 20])
def test_shards_that_are_there_are_not_written_again(
    tiny_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, shuffle_buffer: int
) -> None:
    profile = tiny_profile(corpus={"shuffle_buffer": shuffle_buffer})
    lake, whole = Lake(profile.run.lake), Lake(profile.run.lake + "-whole")
    build_contexts(profile, whole)

    publish, calls = Lake.publish, []

    def fail_on_the_second(self: Lake, unit: Any, *rest: Any, **named: Any) -> Any:
        calls.append(unit)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return publish(self, unit, *rest, **named)

    monkeypatch.setattr(Lake, "publish", fail_on_the_second)
    with pytest.raises(KeyboardInterrupt):
        build_contexts(profile, lake)
    monkeypatch.setattr(Lake, "publish", publish)
    first = Path(lake.files("contexts", run="tiny")[0])
    before = first.stat().st_mtime_ns
    report = build_contexts(profile, lake)
    assert first.stat().st_mtime_ns == before
    assert report.new_rows == report.rows - 12
    assert stored(profile, lake).equals(stored(profile, whole))

    again = build_contexts(profile, lake)
    assert (again.rows, again.new_rows) == (report.rows, 0)


def forget(profile: Profile, lake: Lake, shard: int) -> None:
    """Take a shard out of the lake, as if it had not been written yet."""
    folder = Path(lake.root) / f"manifests/contexts/run={profile.run.name}"
    (folder / f"shard={shard}" / "all.json").unlink()


@pytest.mark.parametrize("missing", [[0], [1], [2], [1, 2]])
def test_a_corpus_that_changed_meanwhile_is_refused(
    tiny_profile: Callable[..., Profile], tmp_path: Path, tiny_corpus: Path, missing: list[int]
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(tiny_corpus, corpus)
    profile = tiny_profile(corpus={"dataset_repo": str(corpus)})
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    for shard in missing:
        forget(profile, lake, shard)
    first = corpus / "000.txt"
    before = first.read_text()
    first.write_text("something longer than " + before)
    with pytest.raises(
        ConflictError, match=r"changed since contexts \(run=tiny, shard=\d\).*run\.name"
    ):
        build_contexts(profile, lake)
    assert len(lake.manifests("contexts", run="tiny")) == profile.n_shards - len(missing)

    first.write_text(before)
    assert build_contexts(profile, lake).new_rows > 0


def test_an_empty_corpus_leaves_no_trace(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("")
    profile = tiny_profile(corpus={"dataset_repo": str(tmp_path / "empty.txt")})
    lake = Lake(profile.run.lake)
    with pytest.raises(DataError, match="holds no text"):
        build_contexts(profile, lake)
    assert not lake.exists("manifests")


def test_a_run_stands_for_one_configuration(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    with pytest.raises(ConflictError, match=r"cache\.n_tokens = 1000.*= 900"):
        build_contexts(tiny_profile(cache={"n_tokens": 900}), lake)
    with pytest.raises(ConflictError, match=r"cache\.filter_bos"):
        build_contexts(tiny_profile(cache={"filter_bos": False}), lake)


def test_a_tokenizer_of_another_model_is_refused(
    tiny_profile: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = tiny_profile()
    monkeypatch.setattr(contexts_module, "vocabulary_size", lambda config: 200)
    lake = Lake(profile.run.lake)
    with pytest.raises(DataError, match="the model's embedding has 200 rows"):
        build_contexts(profile, lake)
    assert not lake.manifests("contexts", run="tiny")


def test_an_unknown_hookpoint_is_refused_before_anything_is_written(
    tiny_profile: Callable[..., Profile],
) -> None:
    profile = tiny_profile(cache={"hookpoints": ["layers.9"]})
    lake = Lake(profile.run.lake)
    with pytest.raises(SettingError, match=r"cache\.hookpoints holds 'layers\.9'"):
        build_contexts(profile, lake)
    assert not lake.exists("manifests")


def test_settings_that_change_no_data_are_not_part_of_a_run(
    tiny_profile: Callable[..., Profile],
) -> None:
    config = tiny_profile().run_config()
    assert config == tiny_profile(cache={"batch_size": 2}, model={"device": "auto"}).run_config()
    assert config != tiny_profile(model={"dtype": "bfloat16"}).run_config()
    assert config == tiny_profile(coder={"k": 3}).run_config(), "k is of trained coders only"


def test_a_shuffled_corpus_depends_on_the_seed(tiny_profile: Callable[..., Profile]) -> None:
    stored_tokens = []
    for name, buffer, seed in [("plain", 0, 1), ("one", 20, 1), ("again", 20, 1), ("two", 20, 2)]:
        profile = tiny_profile(run={"name": name, "seed": seed}, corpus={"shuffle_buffer": buffer})
        lake = Lake(profile.run.lake)
        build_contexts(profile, lake)
        stored_tokens.append(stored(profile, lake)["tokens"].to_pylist())
    plain, one, again, two = stored_tokens
    assert one == again
    assert plain != one != two != plain


def test_the_seed_is_a_setting_of_contexts_only_where_the_corpus_is_shuffled(
    tiny_profile: Callable[..., Profile],
) -> None:
    assert "run.seed" not in contexts_config(tiny_profile())
    config = contexts_config(tiny_profile(run={"seed": 7}, corpus={"shuffle_buffer": 2}))
    assert (config["run.seed"], config["corpus.shuffle_buffer"]) == (7, 2)


def test_long_documents_are_tokenized_few_at_a_time(tiny_model: Path) -> None:
    tokenizer = load_tokenizer(ModelSettings(name=str(tiny_model)))
    calls: list[list[int]] = []

    def watched(texts: list[str], **settings: Any) -> Any:
        calls.append([len(text) for text in texts])
        return tokenizer(texts, **settings)

    watched.eos_token_id = tokenizer.eos_token_id  # type: ignore[attr-defined]
    lengths = [100_000, 100_000, 100_000, 262_144, 5, *[1] * 70]
    documents = [Document(f"d{i}", "a " * (n // 2) + "b" * (n % 2)) for i, n in enumerate(lengths)]
    pieces = list(tokenize(documents, watched))
    assert [piece.document for piece in pieces] == [document.id for document in documents]
    assert calls == [[100_000] * 2, [100_000], [262_144], [5, *[1] * 63], [1] * 7]


def test_memory_does_not_grow_with_the_tokens(
    tiny_profile: Callable[..., Profile], tmp_path: Path
) -> None:
    with (tmp_path / "rows.jsonl").open("w") as rows:
        rows.writelines(
            json.dumps({"text": f"{n} the lake holds every activation of a latent"}) + "\n"
            for n in range(8_000)
        )
    corpus = {"dataset_repo": str(tmp_path / "rows.jsonl"), "shuffle_buffer": 100}
    peaks = []
    for name, n_tokens in [("warm", 8_192), ("once", 16_384), ("tenfold", 163_840)]:
        cache = {"n_tokens": n_tokens, "shard_tokens": 8_192}
        profile = tiny_profile(run={"name": name}, corpus=corpus, cache=cache)
        tracemalloc.start()
        try:
            report = build_contexts(profile, Lake(profile.run.lake))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert report.facts["tokens"] == n_tokens
    # What is known of a shard, 2 KB, stays; as lists, the tokens alone would take 5 MB more.
    assert peaks[2] < peaks[1] + 100_000


def test_a_cut_shard_is_written_as_it_was(tiny_profile: Callable[..., Profile]) -> None:
    profile = tiny_profile()
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    before = read_parquet(lake, lake.files("contexts", run="tiny"))
    file = Path(lake.files("contexts", run="tiny", shard=1)[0])
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{file} has \d+ bytes.*materialize .*'contexts' again"):
        lake.files("contexts", run="tiny")
    assert build_contexts(profile, lake).new_rows == 12
    assert read_parquet(lake, lake.files("contexts", run="tiny")) == before

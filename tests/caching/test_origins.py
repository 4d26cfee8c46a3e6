"""A run that is done does not pass for one of a coder, model or corpus that was replaced since."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from delphi_assets.caching import contexts, origins
from delphi_assets.caching.activations import merge_shards
from delphi_assets.caching.capture import capture
from delphi_assets.caching.coder_preparation import prepare_coder
from delphi_assets.caching.contexts import build_contexts
from delphi_assets.caching.corpus import read_documents
from delphi_assets.caching.prepared_coder import coder_source
from delphi_assets.errors import ConflictError
from delphi_assets.explainers.explanations import explain
from delphi_assets.lake.lake import Lake
from delphi_assets.lake.place import Place
from delphi_assets.lake.units import weights_unit
from delphi_assets.latent_ranges import ALL
from delphi_assets.scorers.predictions import score
from delphi_assets.selection.examples import select_examples
from delphi_assets.selection.latents import describe_latents
from delphi_assets.selection.neighbours import find_neighbours
from delphi_assets.settings import TRAIN, Profile
from tests.parts.tiny_parts import make_coder, make_model, make_tokenizer

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.slow]

HOOKPOINT = "layers.0"


@pytest.fixture
def profile(tiny_profile: Callable[..., Profile], tmp_path: Path) -> Profile:
    """Over a coder, a model and a corpus of the test's own, which it may replace."""
    coders = make_coder(tmp_path / "coders", HOOKPOINT, seed=1)
    model = make_model(tmp_path / "model", "llama")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(40):
        (corpus / f"{number:02}.txt").write_text(f"{number} words that are tokens {number * 7}")
    return tiny_profile(
        model={"name": str(model)},
        corpus={"dataset_repo": str(corpus)},
        cache={"hookpoints": [HOOKPOINT], "n_buckets": 2},
        coder={"sparse_model": str(coders)},
        selection={
            "example_ctx_len": 16,
            "min_examples": 4,
            "n_examples_train": 2,
            "n_examples_test": 2,
            "n_non_activating": 2,
        },
        score={"scorers": ["detection"], "scorer_model": "lexical"},
    )


def stages(profile: Profile, lake: Lake) -> dict[str, Callable[[], Any]]:
    """Every stage that writes, in order, by the name of its asset."""
    selection = profile.selection
    return {
        "contexts": lambda: build_contexts(profile, lake),
        "sparse_coder": lambda: prepare_coder(profile, lake, HOOKPOINT),
        "captured": lambda: capture(profile, lake, range(profile.n_shards)),
        "activations": lambda: merge_shards(profile, lake, HOOKPOINT),
        "neighbours": lambda: find_neighbours(
            profile, lake, HOOKPOINT, "co-occurrence", profile.neighbours
        ),
        "latents": lambda: describe_latents(profile, lake, HOOKPOINT),
        "examples": lambda: select_examples(profile, lake, HOOKPOINT, selection),
        "explanations": lambda: explain(
            profile, lake, HOOKPOINT, ALL, profile.explain, selection.name
        ),
        "predictions": lambda: score(profile, lake, HOOKPOINT, ALL, profile.score, selection.name),
    }


def materialized(profile: Profile) -> Lake:
    """A lake in which every stage is done."""
    lake = Lake(profile.run.lake)
    for stage in stages(profile, lake).values():
        stage()
    assert all(stage().new_rows == 0 for stage in stages(profile, lake).values())
    return lake


def refused_by(profile: Profile, lake: Lake, match: str) -> list[str]:
    """Names of the stages that raise the error."""
    refusing = []
    for name, stage in stages(profile, lake).items():
        try:
            assert stage().new_rows == 0
        except ConflictError as error:
            with pytest.raises(ConflictError, match=match):
                raise error
            refusing.append(name)
    return refusing


def replace(folder: Path, make: Callable[[Path], object]) -> None:
    """What `make` writes instead of what is in the folder."""
    shutil.rmtree(folder)
    make(folder)


def test_a_coder_trained_again_in_place_is_refused_by_every_stage_that_is_done(
    profile: Profile,
) -> None:
    lake, coders = materialized(profile), Path(str(profile.coder.sparse_model))
    before = lake.manifest(weights_unit(profile.run.name, HOOKPOINT))
    assert before is not None
    stored = before.facts["coder_fingerprint"]
    replace(coders, lambda folder: make_coder(folder, HOOKPOINT, seed=9))
    match = (
        rf"coder of hookpoint 'layers\.0'.*fingerprint (?!{stored})\w{{64}}.*{stored}.*run\.name"
    )
    assert refused_by(profile, lake, match) == [
        name for name in stages(profile, lake) if name != "contexts"
    ]
    replace(coders, lambda folder: make_coder(folder, HOOKPOINT, seed=1))
    assert refused_by(profile, lake, "") == []


def test_a_coder_copied_touched_or_gone_is_not_another_one(
    profile: Profile, tmp_path: Path
) -> None:
    lake, coders = materialized(profile), Path(str(profile.coder.sparse_model))
    shutil.copytree(coders, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(coders)
    assert refused_by(profile, lake, "") == []
    shutil.move(tmp_path / "copy", coders)
    for file in coders.rglob("*.*"):
        os.utime(file, (1, 1))
    assert refused_by(profile, lake, "") == []


def test_a_trained_coder_replaced_in_the_lake_is_refused(profile: Profile) -> None:
    changes = {"sparse_model": TRAIN, "expansion_factor": 2, "k": 4, "train_tokens": 700}
    profile = profile.model_copy(
        update={"coder": profile.coder.model_copy(update={**changes, "epochs": 1})}
    )
    lake = materialized(profile)
    with coder_source(Place(profile, lake, HOOKPOINT)) as folder:
        make_coder(Path(folder), ".", seed=5, num_latents=32)
    assert "captured" in refused_by(profile, lake, "its files were replaced")
    assert "predictions" in refused_by(profile, lake, "its files were replaced")


def test_a_model_trained_again_in_place_is_refused_by_the_stages_that_run_it(
    profile: Profile,
) -> None:
    lake, model = materialized(profile), Path(profile.model.name)
    weights = model / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    match = r"model \(model\.name = .*fingerprint \w{64}.*with \w{64}.*run\.name"
    assert refused_by(profile, lake, match) == ["sparse_coder", "captured", "activations"]
    weights.write_bytes(content)
    (model / "README.md").write_text("A model card says nothing about weights.")
    assert refused_by(profile, lake, "") == []
    shutil.rmtree(model)
    assert refused_by(profile, lake, "") == []


def test_shards_of_two_models_are_not_merged(profile: Profile) -> None:
    lake = Lake(profile.run.lake)
    build_contexts(profile, lake)
    prepare_coder(profile, lake, HOOKPOINT)
    capture(profile, lake, range(profile.n_shards))
    units = lake.manifests("captured", run="tiny")
    told = json.loads(Path(lake.root, units[1].unit.path).read_text())
    told["facts"]["model_fingerprint"] = "another"
    Path(lake.root, units[1].unit.path).write_text(json.dumps(told))
    shutil.rmtree(profile.model.name)
    with pytest.raises(ConflictError, match=r"shard=0\).*shard=1\).*with another.*run\.name"):
        merge_shards(profile, lake, HOOKPOINT)


def test_another_corpus_is_refused_when_contexts_are_done(profile: Profile) -> None:
    lake, corpus = materialized(profile), Path(profile.corpus.dataset_repo)
    file = corpus / "07.txt"
    text = file.read_text()
    file.write_text(text.upper())
    match = (
        r"corpus \(corpus.dataset_repo\).*changed since.*was \w{64}, now it is \w{64}.*run\.name"
    )
    assert refused_by(profile, lake, match) == ["contexts"]
    file.write_text(text)
    assert refused_by(profile, lake, "") == []


def test_another_tokenizer_is_refused_when_contexts_are_done(profile: Profile) -> None:
    lake, model = materialized(profile), Path(profile.model.name)
    make_tokenizer(model, add_bos=False)
    assert "contexts" in refused_by(profile, lake, r"tokenizer of model\.name has changed")


def test_a_corpus_copied_or_grown_behind_its_last_token_is_the_same(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, corpus = Lake(profile.run.lake), Path(profile.corpus.dataset_repo)
    short = profile.model_copy(update={"cache": profile.cache.model_copy(update={"n_tokens": 400})})
    build_contexts(short, lake)
    read, reads = read_documents, []

    def noted(*given: Any) -> Any:
        reads.append(given)
        return read(*given)

    monkeypatch.setattr(contexts, "read_documents", noted)
    build_contexts(short, lake)
    assert not reads, "nothing looks changed"
    shutil.copytree(corpus, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(corpus)
    assert build_contexts(short, lake).new_rows == 0, "a corpus that is gone cannot be compared"
    shutil.move(tmp_path / "copy", corpus)
    (corpus / "99.txt").write_text("behind the last token")
    for _ in range(2):
        assert build_contexts(short, lake).new_rows == 0
    assert len(reads) == 1, "what was found to be the same is remembered"


def test_a_run_of_an_earlier_version_is_not_refused_for_what_it_does_not_say(
    profile: Profile,
) -> None:
    lake = materialized(profile)
    shutil.rmtree(Path(lake.root, "origins"))
    facts = {"coder_folder", "coder_files", "model_fingerprint"}
    for path in Path(lake.root, "manifests").rglob("*.json"):
        told = json.loads(path.read_text())
        if "facts" in told:
            told["facts"] = {k: v for k, v in told["facts"].items() if k not in facts}
            path.write_text(json.dumps(told))
    for file in Path(profile.corpus.dataset_repo).iterdir():
        os.utime(file, (1, 1))
    assert refused_by(profile, lake, "") == []
    coders = Path(str(profile.coder.sparse_model))
    replace(coders, lambda folder: make_coder(folder, HOOKPOINT, seed=9))
    refusing = refused_by(profile, lake, "its files were replaced")
    assert refusing == ["sparse_coder", "captured"], "those that know how to find its files"


def test_a_model_of_the_hub_is_known_by_what_was_fetched(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Laid out as `huggingface_hub` does, whose cache is read without asking the hub."""
    from delphi_assets.settings import ModelSettings

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    settings = ModelSettings(name="owner/tiny")
    assert origins.model_fingerprint(settings) is None
    repository = tmp_path / "models--owner--tiny"
    shutil.copytree(tiny_model, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    assert origins.model_fingerprint(settings) == origins.model_fingerprint(
        ModelSettings(name=str(tiny_model))
    )

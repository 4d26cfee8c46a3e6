"""Small runs in Delphi's layout, made by hand."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

CTX_LEN, N_CONTEXTS, WIDTH = 8, 6, 10
UNPARSED = "Explanation could not be parsed."

Fired = dict[tuple[int, int], float]
"""Activation by latent and position."""


def tokens() -> np.ndarray[Any, Any]:
    """Tokens [N_CONTEXTS, CTX_LEN], the same every time."""
    return np.random.default_rng(0).integers(3, 40, (N_CONTEXTS, CTX_LEN))


def fired(seed: int = 1, latents: Sequence[int] = range(WIDTH)) -> Fired:
    """Some activations, negative ones among them, each a number of half precision."""
    rng = np.random.default_rng(seed)
    places = rng.random((WIDTH, N_CONTEXTS * CTX_LEN)) < 0.2
    return {
        (int(latent), int(position)): float(np.float16(rng.normal(0, 3)))
        for latent, position in np.argwhere(places)
        if latent in latents
    }


def write_hookpoint(
    folder: Path,
    activations: Fired,
    edges: Sequence[int] = (0, 4, WIDTH),
    dtype: str = "uint16",
    **config: object,
) -> None:
    """Write the splits between `edges` and config.json; None leaves a setting out."""
    folder.mkdir(parents=True, exist_ok=True)
    for first, last in pairwise(edges):
        # By position, then latent, as Delphi's nonzero gives them.
        rows = sorted(
            (position, latent - first, value)
            for (latent, position), value in activations.items()
            if first <= latent < last
        )
        locations = [[place // CTX_LEN, place % CTX_LEN, latent] for place, latent, _ in rows]
        write_split(
            folder / f"{first}_{last - 1}.safetensors",
            np.array(locations, dtype=dtype).reshape(-1, 3),
            np.array([value for _, _, value in rows], dtype="float16"),
        )
    settings = {
        "dataset_repo": "some/corpus",
        "dataset_split": "train[:1%]",
        "dataset_name": "",
        "dataset_column": "text",
        "batch_size": 32,
        "cache_ctx_len": CTX_LEN,
        "n_tokens": 50,
        "n_splits": len(edges) - 1,
        "model_name": "no-such/model",
        **config,
    }
    kept = {name: value for name, value in settings.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


def write_split(
    path: Path,
    locations: np.ndarray[Any, Any],
    activations: np.ndarray[Any, Any],
    corpus: np.ndarray[Any, Any] | None = None,
) -> None:
    """Write one file of activations."""
    held = tokens() if corpus is None else corpus
    save_file({"locations": locations, "activations": activations, "tokens": held}, path)


def write_text(path: Path, value: object) -> None:
    """Write an explanation or a score file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def judged(
    activating: bool, prediction: bool | None, distance: float, probability: float | None = None
) -> dict[str, object]:
    """An item of a score file."""
    return {
        "str_tokens": [" a", "b"],
        "activations": [0.0, 1.0 if activating else 0.0],
        "distance": distance,
        "activating": activating,
        "prediction": prediction,
        "probability": probability,
        "correct": None if prediction is None else prediction == activating,
    }


def make_run(folder: Path, hookpoints: Mapping[str, Fired], **config: object) -> Path:
    """A whole run: activations of `hookpoints`, explanations and scores of the first; its folder.

    Latent 1 is explained and judged by both scorers, latent 2's explanation failed.
    """
    for hookpoint, activations in hookpoints.items():
        write_hookpoint(folder / "latents" / hookpoint, activations, **config)  # type: ignore[arg-type]
    name = next(iter(hookpoints))
    write_text(folder / "explanations" / f"{name}_latent1.txt", "words about “lakes”")
    write_text(folder / "explanations" / f"{name}_latent2.txt", UNPARSED)
    write_text(
        folder / "scores" / "detection" / f"{name}_latent1.txt",
        [judged(True, True, 0, 0.75), judged(True, None, 1), judged(False, True, -1.0, 0.5)],
    )
    write_text(
        folder / "scores" / "fuzz" / f"{name}_latent1.txt",
        [judged(True, True, 3), judged(False, False, -0.25)],
    )
    (folder / "run_config.json").write_text(
        json.dumps(
            {
                "sparse_model": "some/coder",
                "explainer_model": "some/llm",
                "seed": 5,
                "constructor_cfg": {"example_ctx_len": 4, "min_examples": 2},
                "sampler_cfg": {"n_examples_train": 2, "n_examples_test": 2, "n_quantiles": 2},
            }
        )
    )
    (folder / "log").mkdir(exist_ok=True)
    return folder

"""Do SAELens's coders fire here as they do there?

    python -m benchmarks saelens_reads make FOLDER     # where sae-lens is installed
    python -m benchmarks saelens_reads read FOLDER     # here

`make` imports nothing of the library. It writes random coders of every architecture that SAELens
loads or saves for inference, in each setting that changes how one computes, as SAELens saves them,
with what SAELens itself computes from them. `read` loads and runs them here, and tells the largest
differences. Wrong is a coder of which another latent fires or a number is off.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.parts import two_sides
from benchmarks.parts.record import Measured, in_unit

TOKENS, WIDTH, LATENTS, D_OUT, K = 300, 64, 512, 48, 8
TOLERANCE = 1e-5
"""Largest difference, as a share of the largest number there is."""

LOADED = (
    "standard",
    "topk",
    "abstopk",
    "jumprelu",
    "gated",
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
)
TRAINED = ("batchtopk", "matryoshka_batchtopk", "topk", "jumprelu", "gated", "standard")


class Variant(NamedTuple):
    """A coder to make: an architecture, and what differs from its defaults."""

    architecture: str
    changes: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of its folder."""
        return "-".join(
            [self.architecture, *(f"{key}={self.changes[key]}" for key in self.changes)]
        )


def variants() -> Iterator[Variant]:
    """Every architecture with every setting that it has."""
    for architecture in LOADED:
        for normalization in ("none", "constant_norm_rescale", "layer_norm"):
            yield Variant(architecture, {"normalize_activations": normalization})
        if "transcoder" not in architecture:
            yield Variant(architecture, {"apply_b_dec_to_input": False})
        if "topk" in architecture:
            yield Variant(architecture, {"rescale_acts_by_decoder_norm": True})


arguments = two_sides.arguments


def measure(given: argparse.Namespace) -> Measured | None:
    """Make the folder or read it."""
    return two_sides.one_side(given, make, read)


def make(folder: Path) -> None:
    """Write inputs, coders, and what SAELens computes."""
    from sae_lens.registry import (  # type: ignore[import-not-found]
        get_sae_class,
        get_sae_training_class,
    )

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    x = 2 * torch.randn(TOKENS, WIDTH) + 0.3
    torch.save(x, folder / "x.pt")
    for variant in variants():
        made, config = get_sae_class(variant.architecture)
        coder = made(config(**settings(variant)))
        randomize(coder)
        coder.save_model(folder / variant.name)
        compute(made.load_from_disk(folder / variant.name), x, folder / variant.name)
    for architecture in TRAINED:
        made, config = get_sae_training_class(architecture)
        coder = made(config(**settings(Variant(architecture, {}))))
        randomize(coder)
        target = folder / f"trained-{architecture}"
        coder.save_inference_model(target)
        saved = json.loads((target / "cfg.json").read_text(encoding="utf-8"))["architecture"]
        compute(get_sae_class(saved)[0].load_from_disk(target), x, target)


def settings(variant: Variant) -> dict[str, Any]:
    """Settings of a coder in SAELens's words."""
    chosen = {"d_in": WIDTH, "d_sae": LATENTS, **variant.changes}
    if "transcoder" in variant.architecture:
        chosen |= {"d_out": D_OUT, "apply_b_dec_to_input": False}
    if "topk" in variant.architecture:
        chosen["k"] = K
    if "matryoshka" in variant.architecture:
        chosen["matryoshka_widths"] = [LATENTS // 4, LATENTS]
    return chosen


def randomize(coder: Any) -> None:
    """Give every parameter and threshold numbers of its own."""
    for parameter in coder.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    if hasattr(coder, "topk_threshold"):
        coder.topk_threshold = torch.full_like(coder.topk_threshold, 1.1)


def compute(coder: Any, x: torch.Tensor, folder: Path) -> None:
    """Write activations [tokens, latents] and the reconstruction [tokens, d_out]."""
    with torch.no_grad():
        expected = {"activations": coder.encode(x), "rebuilt": coder(x)}
    torch.save(expected, folder / "expected.pt")


def read(folder: Path) -> Measured:
    """Compare every coder in `folder`."""
    from delphi_assets.coders import load_coder

    x = torch.load(folder / "x.pt")
    apart: dict[str, float] = {"activations": 0.0, "rebuilt": 0.0}
    wrong = []
    coders = sorted(path.parent for path in folder.glob("*/cfg.json"))
    for path in coders:
        expected = torch.load(path / "expected.pt")
        coder = load_coder(path, "layers.5")
        fired = coder.encode(x)
        found = torch.zeros_like(expected["activations"])
        found[fired.row, fired.latent] = fired.value
        same = (found != 0).equal(expected["activations"] != 0)
        computed = {"activations": found, "rebuilt": coder.decode(x, fired)}
        for name, wanted in expected.items():
            share = float((computed[name] - wanted).abs().max() / wanted.abs().max())
            apart[name] = max(apart[name], share)
            same = same and share <= TOLERANCE
        if not same:
            wrong.append(f"{path.name} differs")
    largest = {f"largest_difference_of_{name}": share for name, share in apart.items()}
    return Measured(
        {**in_unit("coders", coders=len(coders)), **in_unit("of the largest number", **largest)},
        wrong=wrong if coders else [f"{folder.name} holds no coders"],
    )

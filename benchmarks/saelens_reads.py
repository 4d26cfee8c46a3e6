"""Do SAELens's coders fire here as they do there?

    python benchmarks/saelens_reads.py make FOLDER     # where sae-lens is installed
    python benchmarks/saelens_reads.py read FOLDER     # here

`make` imports nothing of this project. It writes random coders of every architecture that SAELens
loads or saves for inference, in each setting that changes how one computes, as SAELens saves them,
with what SAELens itself computes from them. `read` loads and runs them here. It prints JSON with
the largest differences, and ends with status 1 where another latent fires or a number is off.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

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


def read(folder: Path) -> bool:
    """Compare every coder in `folder`; returns whether all agree."""
    from delphi_assets.coders import load_coder

    x = torch.load(folder / "x.pt")
    equal, apart = True, {"activations": 0.0, "rebuilt": 0.0}
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
            print(f"{path.name} differs", file=sys.stderr)
        equal = equal and same
    print(json.dumps({"coders": len(coders), "equal": equal, "largest_difference": apart}))
    return equal and bool(coders)


if __name__ == "__main__":
    command, where = sys.argv[1], Path(sys.argv[2])
    if command == "make":
        make(where)
    else:
        sys.path.insert(0, str(Path(__file__).parents[1]))
        sys.exit(not read(where))

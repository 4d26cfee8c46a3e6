"""Training a TopK SAE on the run's own contexts, with sparsify's `SparseCoder`.

In: contexts of the lake, the subject model, a hookpoint. Out: a folder in sparsify's layout that
reads the model's raw activations through the ordinary loader, and `TrainingFacts`.

1. Activations of the first `train_tokens` tokens are collected, special tokens left out. The last
   tenth is held out.
2. They are standardized per dimension: a residual stream has a few huge dimensions, and an error
   summed over raw ones would only see those. Mean and deviation come from the train tokens without
   outliers, tokens whose norm is more than 10 times the median; outliers are not trained on.
3. Adam minimizes the fraction of variance unexplained, plus 1/32 of the AuxK loss: how well
   latents that have been dead for a while, 2k of them a token, rebuild what the living ones leave.
   The learning rate warms up and falls to zero; decoder rows keep unit norm.
4. The standardization is folded into the weights, so that what is saved reads raw activations. With
   z = (x - mean) / deviation:
       encoder.weight / deviation, W_dec * deviation, b_dec * deviation + mean
   and the encoder's bias as it is, give the same activations and the reconstruction of x.
5. What was saved is loaded again and measured on the held-out tokens.

AuxK is from Gao et al., "Scaling and evaluating sparse autoencoders" (2024), appendix A.2. It is
computed here because sparsify's encoder passes no gradient back from dead latents.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from delphi_assets.caching.batches import read_batches
from delphi_assets.caching.published import published_contexts
from delphi_assets.coders import CoderReading, load_coder
from delphi_assets.coders.coder import Coder
from delphi_assets.errors import DataError
from delphi_assets.ground.progress import Bar
from delphi_assets.lake.place import RunPlace
from delphi_assets.models.subject import Hook, Subject, forward_to
from delphi_assets.settings import CoderSettings

_HELD_OUT = 0.1
_OUTLIER = 10.0
_AUXK_WEIGHT = 1 / 32
_DEAD_AFTER_TOKENS = 32_768
_WARM_UP, _DECAY = 0.05, 0.3
_MEASURED_AT_ONCE = 4_096


class Standardization(NamedTuple):
    """z = (x - mean) / deviation, both [d]."""

    mean: Tensor
    deviation: Tensor


@dataclass(frozen=True)
class TrainingFacts:
    """What a trained coder is worth. Shares of variance and of latents are from 0 to 1."""

    fvu: float
    """Fraction of variance unexplained on held-out tokens, raw activations."""
    fvu_standardized: float
    """The same with every dimension scaled to unit variance and outliers left out."""
    live_share: float
    """Latents that fire at least once on the tokens collected, held-out ones too."""
    live_share_10: float
    """Latents that fire at least ten times on them."""
    num_latents: int
    k: int
    steps: int
    train_tokens: int
    """Tokens trained on, counted once."""
    held_out_tokens: int
    outliers: int
    """Tokens left out of training for their norm."""
    collect_seconds: float
    train_seconds: float


def train_coder(place: RunPlace, subject: Subject, module: str, folder: Path) -> TrainingFacts:
    """Train an SAE on the output of `module` and save it in `folder`.

    Raises `DataError` without the `demo` extra or with too few tokens to train on.
    """
    started, profile = time.perf_counter(), place.profile
    activations = collect(place, subject, module)
    held_out = int(len(activations) * _HELD_OUT)
    if not held_out:
        raise DataError(
            f"run {profile.run.name!r} has {len(activations)} tokens to train a coder on; expected "
            "more: raise cache.n_tokens or coder.train_tokens."
        )
    known, unseen = activations[:-held_out], activations[-held_out:]
    limit = _OUTLIER * float(_norms(known).median())
    inliers = known[_norms(known) <= limit]
    standardization = standardize(inliers)
    collected = time.perf_counter()
    coder, steps = fit(inliers, standardization, profile.coder, profile.run.seed)
    fold(coder, standardization)
    coder.save_to_disk(folder)
    trained = time.perf_counter()
    saved = load_coder(folder, module, device=activations.device, reading=CoderReading("sparsify"))
    usual = unseen[_norms(unseen) <= limit]
    counts = _firing_counts(saved, activations)
    return TrainingFacts(
        fvu=unexplained(saved, unseen),
        fvu_standardized=unexplained(saved, usual, standardization.deviation),
        live_share=float((counts > 0).float().mean()),
        live_share_10=float((counts >= 10).float().mean()),
        num_latents=saved.shape.num_latents,
        k=profile.coder.k,
        steps=steps,
        train_tokens=len(inliers),
        held_out_tokens=len(unseen),
        outliers=len(known) - len(inliers),
        collect_seconds=collected - started,
        train_seconds=trained - collected,
    )


def collect(place: RunPlace, subject: Subject, module: str) -> Tensor:
    """Outputs of `module` [tokens, d] on the run's first tokens, in the model's precision."""
    wanted, parts = place.profile.coder.train_tokens, []
    hook = Hook(module, "output")
    with Bar(total=wanted, desc=f"collect {module}", unit="tok", unit_scale=True) as bar:
        for shard in range(place.profile.n_shards):
            contexts = published_contexts(place, shard)
            for batch in read_batches(place, contexts, subject, drop_special=True):
                inputs = batch.input_ids, batch.attention_mask
                hooked = forward_to(subject.model, [hook], *inputs)[hook]
                parts.append(hooked[batch.kept][: wanted - bar.n])
                bar.update(len(parts[-1]))
                if bar.n >= wanted:
                    return torch.cat(parts)
    return torch.cat(parts)


def standardize(activations: Tensor) -> Standardization:
    """Mean and deviation of every dimension of `activations` [tokens, d]."""
    blocks = torch.split(activations, _MEASURED_AT_ONCE)
    sums = torch.stack([block.double().sum(0) for block in blocks])
    mean = sums.sum(0) / len(activations)
    squares = torch.stack([(block.double() - mean).pow(2).sum(0) for block in blocks])
    deviation = (squares.sum(0) / (len(activations) - 1)).sqrt()
    # A dimension that never changes carries nothing; dividing by zero would spread NaN.
    floor = 1e-6 * deviation.max().clamp(min=1e-30)
    return Standardization(mean.float(), deviation.clamp(min=floor).float())


def fit(
    activations: Tensor, standardization: Standardization, settings: CoderSettings, seed: int
) -> tuple[Any, int]:
    """A `SparseCoder` trained on standardized `activations` [tokens, d], and its steps."""
    coder = _new_coder(activations.shape[1], settings, seed, activations.device)
    steps = settings.epochs * -(-len(activations) // settings.train_batch)
    optimizer = torch.optim.Adam(coder.parameters(), lr=settings.lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    silent = torch.zeros(coder.num_latents, dtype=torch.long, device=activations.device)
    with Bar(total=steps, desc="train", unit="step") as bar:
        for rows in _shuffled(len(activations), settings, seed):
            x = (activations[rows].float() - standardization.mean) / standardization.deviation
            out = coder(x)
            silent += len(x)
            silent[out.latent_indices[out.latent_acts > 0]] = 0
            dead = (silent > _DEAD_AFTER_TOKENS).nonzero().squeeze(1)
            loss = out.fvu
            if len(dead):
                auxk = auxk_loss(coder, x, (x - out.sae_out).detach(), dead, 2 * settings.k)
                loss = loss + _AUXK_WEIGHT * auxk
            loss.backward()
            coder.remove_gradient_parallel_to_decoder_directions()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            coder.set_decoder_norm_to_unit_norm()
            bar.update()
            bar.note(fvu=f"{out.fvu.item():.3f}", dead=len(dead))
    return coder, steps


def auxk_loss(coder: Any, x: Tensor, residual: Tensor, dead: Tensor, k: int) -> Tensor:
    """Share of `residual` [tokens, d] that the k strongest `dead` latents leave unexplained."""
    weight, bias = coder.encoder.weight[dead], coder.encoder.bias[dead]
    pre = functional.linear(x - coder.b_dec.detach(), weight, bias).relu()
    values, chosen = pre.topk(min(k, len(dead)), dim=-1, sorted=False)
    rebuilt = functional.embedding_bag(
        chosen, coder.W_dec[dead], per_sample_weights=values, mode="sum"
    )
    variance = (residual - residual.mean(0)).pow(2).sum()
    return (residual - rebuilt).pow(2).sum() / variance


@torch.no_grad()
def fold(coder: Any, standardization: Standardization) -> None:
    """Change a coder of standardized activations, in place, into one of raw activations."""
    mean, deviation = standardization
    coder.encoder.weight /= deviation
    coder.W_dec *= deviation
    coder.b_dec.mul_(deviation).add_(mean)


def unexplained(coder: Coder, x: Tensor, scale: Tensor | None = None) -> float:
    """Fraction of the variance of `x` [tokens, d] that the coder does not rebuild.

    `scale` [d] divides every dimension first.
    """
    weight = torch.ones_like(x[0], dtype=torch.float) if scale is None else 1 / scale
    mean = x.mean(0, dtype=torch.float)
    error = variance = 0.0
    for rows in torch.split(x, _MEASURED_AT_ONCE):
        exact = rows.float()
        rebuilt = coder.decode(exact, coder.encode(exact))
        error += float(((exact - rebuilt) * weight).pow(2).sum())
        variance += float(((exact - mean) * weight).pow(2).sum())
    return error / max(variance, 1e-30)


def _firing_counts(coder: Coder, x: Tensor) -> Tensor:
    counts = torch.zeros(coder.shape.num_latents, dtype=torch.long, device=x.device)
    for rows in torch.split(x, _MEASURED_AT_ONCE):
        counts += torch.bincount(coder.encode(rows).latent, minlength=len(counts))
    return counts


def _new_coder(d_in: int, settings: CoderSettings, seed: int, device: torch.device) -> Any:
    try:
        from sparsify import SparseCoder, SparseCoderConfig
    except ImportError as error:
        raise DataError(
            f"coder.sparse_model = 'embedded:train' needs the package {error.name!r}, which is not "
            "installed; install the extra with: pip install 'delphi-assets[demo]', or set "
            "coder.sparse_model to a coder."
        ) from error
    config = SparseCoderConfig(
        expansion_factor=settings.expansion_factor,
        num_latents=settings.expansion_factor * d_in,
        k=settings.k,
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        return SparseCoder(d_in, config, device=device, dtype=torch.float32)


def _shuffled(n: int, settings: CoderSettings, seed: int) -> Iterator[Tensor]:
    """Row numbers of every step of every epoch."""
    draw = torch.Generator().manual_seed(seed)
    for _ in range(settings.epochs):
        yield from torch.split(torch.randperm(n, generator=draw), settings.train_batch)


def _rate(step: int, steps: int) -> float:
    """Learning rate at a step, as a share of its peak."""
    return min(1.0, (step + 1) / (_WARM_UP * steps), (steps - step) / (_DECAY * steps))


def _norms(x: Tensor) -> Tensor:
    """Norms [tokens], in blocks: a float copy of all activations would triple their memory."""
    blocks = torch.split(x, _MEASURED_AT_ONCE)
    return torch.cat([block.float().pow(2).sum(dim=1).sqrt() for block in blocks])

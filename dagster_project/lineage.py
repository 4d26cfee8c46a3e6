"""Where each column comes from: columns of an asset's table, and those upstream that make them.

`COLUMNS` names sources as `asset.column`; tests hold it against `schema` and the asset graph. Left
out are path keys, times, hashes, and what comes from settings or an answer alone.
"""

from collections.abc import Callable, Iterable, Mapping

import dagster as dg

_FIRED = ("activations.latent", "activations.position")
_STRENGTH = ("activations.activation",)
_ON_TOKENS = ("activations.position", "activations.activation", "contexts.tokens")
_SHOWN = ("examples.str_tokens", "examples.activations")
_ANSWERS = ("predictions.truth", "predictions.prediction")
_RANKING = ("predictions.truth", "predictions.probability", "predictions.value")


def _each(names: Iterable[str], *sources: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, sources)


def _same(asset: str, *names: str) -> dict[str, tuple[str, ...]]:
    return {name: (f"{asset}.{name}",) for name in names}


def _estimates(names: Iterable[str], *sources: str) -> dict[str, tuple[str, ...]]:
    return {f"{name}{end}": sources for name in names for end in ("", "_low", "_high")}


COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "captured": {
        **_same("sparse_coder", "latent"),
        "position": ("contexts.context", "contexts.tokens"),
        "activation": ("contexts.tokens",),
    },
    "activations": _same("captured", "latent", "position", "activation"),
    "neighbours": _each(("latent", "neighbour", "rank", "similarity"), *_FIRED),
    "latents": {
        **_same("sparse_coder", "latent"),
        **_same("sparse_coder", "decoder_norm", "encoder_norm", "encoder_decoder_cosine"),
        **_each(("n_activations", "n_contexts", "n_windows", "burstiness"), *_FIRED),
        **_each(("token_density", "context_density"), *_FIRED, "contexts.tokens"),
        **_each(("min_activation", "max_activation", "mean_activation"), *_STRENGTH),
        **_each(("activation_quantiles", "activation_histogram"), *_STRENGTH),
        **_each(("top_tokens", "top_token_shares", "top_token_recall"), *_ON_TOKENS),
        **_each(("n_tokens_80", "token_entropy", "special_token_share"), *_ON_TOKENS),
        "first_token_share": (*_FIRED, *_STRENGTH),
        **_each(("position_bias", "position_entropy"), *_FIRED),
        "nearest_neighbour": ("neighbours.neighbour",),
        "neighbour_similarity": ("neighbours.similarity",),
        "neighbour_method": ("neighbours.method",),
        "reason": _FIRED,
    },
    "examples": {
        **_same("latents", "latent"),
        "position": ("activations.position",),
        **_each(("tokens", "str_tokens"), "contexts.tokens"),
        **_each(("activations", "normalized", "activating", "quantile"), *_STRENGTH),
        **_each(("max_activation", "latent_max", "neighbour_activations"), *_STRENGTH),
        "n_in_bin": _STRENGTH,
        **_same("neighbours", "neighbour", "similarity"),
    },
    "explanations": {
        **_same("examples", "latent", "selection"),
        "explanation": _SHOWN,
        "n_shown": ("examples.example",),
    },
    "predictions": {
        **_same("explanations", "explanation_id"),
        **_same("examples", "latent", "selection", "example", "quantile"),
        "truth": ("examples.activating",),
        **_each(
            ("prediction", "probability", "value", "simulated"),
            "explanations.explanation",
            "examples.str_tokens",
        ),
    },
    "scores": {
        **_same("predictions", "latent", "explanation_id", "selection", "scorer", "judge"),
        **_same("predictions", "judge_hash", "control", "chance"),
        "n_examples": ("predictions.example",),
        **_each(("n_failed", "failed_share"), "predictions.failure"),
        **_each(
            ("true_positives", "false_positives", "true_negatives", "false_negatives"), *_ANSWERS
        ),
        **_estimates(("precision", "recall", "specificity", "f1"), *_ANSWERS),
        **_estimates(("accuracy", "balanced_accuracy"), *_ANSWERS),
        **_estimates(("mass_found", "mass_explained"), *_ANSWERS, "predictions.quantile"),
        **_estimates(("auroc", "auprc"), *_RANKING),
        "auprc_chance": _RANKING,
        **_estimates(("correlation",), "predictions.simulated"),
    },
}


def column_lineage(
    asset: str, key: Callable[[str], dg.AssetKey] = dg.AssetKey
) -> dg.TableColumnLineage | None:
    """What the UI draws when a column is chosen; None for assets that read no table.

    `key` gives the keys of assets.
    """
    if asset not in COLUMNS:
        return None
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(key(made_of), name) for made_of, _, name in parts]
            for column, sources in COLUMNS[asset].items()
            if (parts := [source.partition(".") for source in sources])
        }
    )

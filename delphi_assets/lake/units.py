"""The units of the tables: what a stage publishes at once, by the names of its parts.

In: the name of a run, and which part of it. Out: a `Unit`. Nobody else names one.
"""

from delphi_assets.lake.manifests import Unit


def contexts_unit(run: str, shard: int) -> Unit:
    """The unit of one shard's contexts."""
    return Unit("contexts", {"run": run, "shard": shard})


def vocabulary_unit(run: str) -> Unit:
    """The unit of a run's vocabulary."""
    return Unit("vocabulary", {"run": run})


def weights_unit(run: str, hookpoint: str) -> Unit:
    """The unit of one hookpoint's weights."""
    return Unit("weights", {"run": run, "hookpoint": hookpoint})


def captured_unit(run: str, hookpoint: str, shard: int) -> Unit:
    """The unit of what one token shard gave at a hookpoint."""
    return Unit("captured", {"run": run, "hookpoint": hookpoint, "shard": shard})


def bucket_unit(run: str, hookpoint: str, bucket: int) -> Unit:
    """The unit of a hookpoint's activations in one bucket of latents."""
    return Unit("activations", {"run": run, "hookpoint": hookpoint, "bucket": bucket})


def windows_unit(run: str, hookpoint: str, example_ctx_len: int, bucket: int) -> Unit:
    """The unit of a hookpoint's windows of one length in one bucket of latents."""
    place = {"run": run, "hookpoint": hookpoint}
    return Unit("windows", {**place, "example_ctx_len": example_ctx_len, "bucket": bucket})


def latents_unit(run: str, hookpoint: str) -> Unit:
    """The unit of a hookpoint's latents."""
    return Unit("latents", {"run": run, "hookpoint": hookpoint})


def neighbours_unit(run: str, hookpoint: str, method: str) -> Unit:
    """The unit of a hookpoint's neighbours by one method."""
    return Unit("neighbours", {"run": run, "hookpoint": hookpoint, "method": method})


def planted_unit(run: str, hookpoint: str) -> Unit:
    """The unit of the descriptions of a planted run's latents."""
    return Unit("planted", {"run": run, "hookpoint": hookpoint})


def kept_scores_unit(run: str, hookpoint: str) -> Unit:
    """The unit of a hookpoint's kept scores."""
    return Unit("kept_scores", {"run": run, "hookpoint": hookpoint})


def embeddings_unit(run: str, sentence_encoder: str, example_ctx_len: int, shard: int) -> Unit:
    """The unit of what a sentence encoder makes of one shard's windows of one length."""
    made_by = {"run": run, "sentence_encoder": sentence_encoder}
    return Unit("embeddings", {**made_by, "example_ctx_len": example_ctx_len, "shard": shard})


def examples_unit(run: str, hookpoint: str, selection: str, bucket: int) -> Unit:
    """The unit of a selection's examples in one bucket of latents."""
    keys = {"run": run, "hookpoint": hookpoint, "selection": selection}
    return Unit("examples", keys, f"bucket-{bucket:05d}")


def bucket_of(examples: Unit) -> int:
    """The bucket of latents that a unit of a selection's examples is of."""
    return int(examples.name.removeprefix("bucket-"))

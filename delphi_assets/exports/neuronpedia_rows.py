"""Rows of Neuronpedia's bulk files, in the names of its database.

In: rows of `sql/exports/`. Out: dictionaries that are a line of JSON each. What the lake does not
know is empty: the coder's vectors, logits that a latent promotes, correlated neurons.
"""

import hashlib
from datetime import datetime
from typing import Any

from delphi_assets.exports.neuronpedia_names import NeuronpediaSource

LONGEST_DESCRIPTION = 512
Row = dict[str, Any]

_UNKNOWN = (
    "neuron_alignment_indices", "neuron_alignment_values", "neuron_alignment_l1",
    "correlated_neurons_indices", "correlated_neurons_pearson", "correlated_neurons_l1",
    "correlated_features_indices", "correlated_features_pearson", "correlated_features_l1",
    "neg_str", "neg_values", "pos_str", "pos_values", "logits_hist_data_bar_heights",
    "logits_hist_data_bar_values", "decoder_weights_dist",
)  # fmt: skip
"""Lists of a feature that the lake holds nothing for."""


def feature(source: NeuronpediaSource, row: Row) -> Row:
    """A latent: a row of `sql/exports/features.sql`."""
    heights = row["activation_histogram"] or []
    return {
        **_place(source, row["latent"]),
        "creatorId": source.creator_id,
        "createdAt": _when(row["written_at"]),
        "sourceSetName": source.source_set,
        "maxActApprox": max(abs(row["max_activation"] or 0), abs(row["min_activation"] or 0)),
        "hasVector": False,
        "vector": [],
        "hookName": source.hookpoint,
        "topkCosSimIndices": row["neighbours"] or [],
        "topkCosSimValues": row["similarities"] or [],
        "frac_nonzero": row["token_density"] or 0,
        "freq_hist_data_bar_heights": heights,
        "freq_hist_data_bar_values": _middles(row, len(heights)),
        **{name: [] for name in _UNKNOWN},
    }


def activation(source: NeuronpediaSource, row: Row, described_at: str | None) -> Row:
    """A window in which a latent fires: a row of `sql/exports/windows.sql`."""
    place = _place(source, row["latent"])
    values = row["activations"]
    largest = max(values)
    return {
        "id": _id(*place.values(), row["position"]),
        **place,
        "creatorId": source.creator_id,
        "createdAt": described_at,
        "tokens": row["str_tokens"],
        "dataIndex": str(row["position"]),
        "dataSource": source.dataset,
        "maxValue": largest,
        "maxValueTokenIndex": values.index(largest),
        "minValue": min(values),
        "values": values,
        "dfaValues": [],
        "dfaTargetIndex": None,
        "dfaMaxValue": None,
        "lossValues": [],
        "logitContributions": None,
        "binMin": row["bin_min"],
        "binMax": row["bin_max"],
        "binContains": row["bin_contains"],
        "qualifyingTokenIndex": row["strongest"],
    }


def explanation(source: NeuronpediaSource, row: Row) -> Row:
    """A latent's best explanation: a row of `sql/exports/explanations.sql`."""
    text = row["explanation"]
    if len(text) > LONGEST_DESCRIPTION:
        text = text[: LONGEST_DESCRIPTION - 1] + "…"
    return {
        "id": row["explanation_id"],
        **_place(source, row["latent"]),
        "description": text,
        "authorId": source.creator_id,
        "typeName": row["explainer"],
        "explanationModelName": row["explainer_model"],
        "createdAt": _when(row["written_at"]),
    }


def score(source: NeuronpediaSource, row: Row) -> Row:
    """A score of that explanation: a row of `sql/exports/scores.sql`. Ours, not Neuronpedia's."""
    return {
        **_place(source, row["latent"]),
        "explanationId": row["explanation_id"],
        "scorer": row["scorer"],
        "metric": row["metric"],
        "value": row["score"],
        "valueLow": row["score_low"],
        "valueHigh": row["score_high"],
        "shuffled": row["shuffled"],
        "empty": row["empty"],
        "chance": row["chance"],
        "explanationScoreModelName": row["judge"],
        "judgeHash": row["judge_hash"],
        "nExamples": row["n_examples"],
        "nFailed": row["n_failed"],
    }


def descriptions(source: NeuronpediaSource, described_at: datetime | None) -> list[tuple[str, Row]]:
    """What the rows are of: the lines of release, model, sourceset and source."""
    made: Row = {"creatorId": source.creator_id, "createdAt": _when(described_at)}
    release: Row = {
        "name": source.release,
        "description": source.release,
        "descriptionShort": source.release,
        "creatorName": source.creator_name,
        "urls": [],
        "visibility": "PRIVATE",
        "defaultSourceSetName": source.source_set,
        "defaultSourceId": source.source_id,
        **made,
    }
    model: Row = {
        "id": source.model_id,
        "displayName": source.model_id,
        "displayNameShort": source.model_id,
        "instruct": source.model_id.endswith("-it"),
        "visibility": "PRIVATE",
        "defaultSourceSetName": source.source_set,
        "defaultSourceId": source.source_id,
        "owner": "",
        "updatedAt": made["createdAt"],
        **made,
    }
    sourceset: Row = {
        "modelId": source.model_id,
        "name": source.source_set,
        "description": f"{source.hookpoint}, {source.num_latents} latents",
        "type": "",
        "creatorName": source.creator_name,
        "urls": [],
        "visibility": "PRIVATE",
        "hasDashboards": True,
        "releaseName": source.release,
        **made,
    }
    one: Row = {
        "id": source.source_id,
        "modelId": source.model_id,
        "setName": source.source_set,
        "visibility": "PRIVATE",
        "hasDashboards": True,
        "inferenceEnabled": False,
        "dataset": source.dataset,
        **made,
    }
    return [("release", release), ("model", model), ("sourceset", sourceset), ("source", one)]


def _place(source: NeuronpediaSource, latent: int) -> Row:
    return {"modelId": source.model_id, "layer": source.source_id, "index": str(latent)}


def _middles(row: Row, n_bins: int) -> list[float]:
    """Middle of each bin of the histogram, one for each height."""
    if not n_bins:
        return []
    low, high = row["min_activation"], row["max_activation"]
    return [low + (number + 0.5) * (high - low) / n_bins for number in range(n_bins)]


def _id(*parts: object) -> str:
    """An id of the length of Neuronpedia's, the same for the same row."""
    return "c" + hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:24]


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")

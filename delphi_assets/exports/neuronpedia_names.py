"""What Neuronpedia calls a hookpoint: its model, its layer, its source set.

In: a run's configuration and a hookpoint, and what the user wants to call them. Out: a
`NeuronpediaSource`. `layers.9.mlp` of the run `demo` on `google/gemma-2-2b` is the source
`9-mlp-demo` of `gemma-2-2b`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delphi_assets.errors import SettingError

_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]*"


@dataclass(frozen=True)
class NeuronpediaSource:
    """A hookpoint under Neuronpedia's names."""

    model_id: str
    """Id of the model at Neuronpedia."""
    layer: int
    """Layer of the model that the coder reads."""
    source_set: str
    """Id of the set that the source is one of: coders of one kind, a layer each."""
    hookpoint: str
    """The module that is read."""
    num_latents: int
    """Latents of the coder."""
    dataset: str | None
    """Corpus that the windows are of."""
    creator_id: str | None
    """Id of the account at Neuronpedia that the rows belong to."""
    creator_name: str
    """Name that is shown as the creator's."""
    release: str
    """Name of the release that the source set belongs to."""

    @property
    def source_id(self) -> str:
        """Id of the source; rows call it their layer."""
        return f"{self.layer}-{self.source_set}"


def named(
    run: str,
    hookpoint: str,
    num_latents: int,
    config: Mapping[str, Any],
    *,
    model_id: str | None = None,
    layer: int | None = None,
    source_set: str | None = None,
    creator_id: str | None = None,
    creator_name: str = "",
    release: str | None = None,
) -> NeuronpediaSource:
    """The source, with names from the run and the hookpoint for those that are not given.

    Raises `SettingError` for an id with other characters than letters, digits, `_`, `.` and `-`,
    and where no layer is in the hookpoint and none is given.
    """
    module, _, coder = hookpoint.partition("@")
    numbers = re.findall(r"(?:^|\.)(\d+)(?=\.|$)", module)
    if layer is None:
        if len(numbers) != 1:
            raise SettingError(
                f"hookpoint {hookpoint!r} has {len(numbers)} numbers; expected one, the layer. "
                "Name it with --layer."
            )
        layer = int(numbers[0])
    rest = re.sub(r"^.*?(?:^|\.)\d+(?=\.|$)", "", module).strip(".")
    model = str(config.get("model.name") or "").rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    source = NeuronpediaSource(
        model_id=model_id or model,
        layer=layer,
        source_set=source_set or "-".join(part for part in (rest, coder, run) if part),
        hookpoint=hookpoint,
        num_latents=num_latents,
        dataset=config.get("corpus.dataset_repo"),
        creator_id=creator_id,
        creator_name=creator_name,
        release=release or run,
    )
    for option, value in (("model-id", source.model_id), ("source-set", source.source_set)):
        if not re.fullmatch(_ID, value):
            raise SettingError(
                f"{option} {value!r}; expected letters, digits, '_', '.' and '-'. Name it with "
                f"--{option}."
            )
    return source

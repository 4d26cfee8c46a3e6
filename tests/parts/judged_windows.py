"""Windows and explanations for judges that answer here, and what is scored, without a lake."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from delphi_assets.lake.lake import Lake
from delphi_assets.models.causal_model import CausalModel
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scoring import Scoring
from delphi_assets.settings import Profile, ScoreSettings
from tests.parts.explained_lake import HOOKPOINT, SELECTION, profile

BOS = "<bos>"


def scoring_of(lake: Lake, given: Profile | None = None, **settings: object) -> Scoring:
    """What is scored in `lake`, with these settings of the section [score]."""
    return Scoring(
        given or profile(), lake, HOOKPOINT, SELECTION, ScoreSettings.model_validate(settings)
    )


def in_memory(folder: Path, **settings: Any) -> Scoring:
    """What is scored where only `BOS` is special, without reading a lake."""
    made = scoring_of(Lake(folder / "nowhere"), **settings)
    made.__dict__["special_tokens"] = frozenset({BOS})
    return made


def explained(text: str, explainer: str = "default") -> Explained:
    """An explanation of latent 0."""
    return Explained(0, "id", explainer, "openai/m", None, text)


def items_of(*windows: Sequence[str]) -> list[Item]:
    """Windows as items."""
    return [
        Item(number, "plain", True, 0, tuple(str_tokens))
        for number, str_tokens in enumerate(windows)
    ]


def next_token(model: CausalModel, ids: Sequence[int]) -> np.ndarray[Any, Any]:
    """Log-probabilities [vocabulary] of what follows `ids`, by a forward pass of its own."""
    with torch.no_grad():
        logits = model.model(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
    return logits.double().log_softmax(-1).numpy()

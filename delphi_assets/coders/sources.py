"""Where a coder's files are: a local folder, or a folder of the hub fetched into the cache.

In: a source, as `coder.sparse_model` and `coder.sparse_models` hold it, and a module. Out: a local
folder.

1. `{hookpoint}` and `{layer}` in the source become the module without wrapper prefixes and the
   number of its layer, as in `google/gemma-scope-2b-pt-res/layer_{layer}/width_16k/average_l0_71`.
2. A folder that exists is taken as it is.
3. Anything else is on the hub: the first two parts are the repository, the rest a folder inside.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from delphi_assets.coders.hooks import bare, layer_of
from delphi_assets.errors import DataError, SettingError
from delphi_assets.ground.hookpoint_names import coder_of
from delphi_assets.ground.local_paths import is_folder, local_path

_NAMED = 20
"""Files of a source that an error names."""


def setting_of(hookpoint: str) -> str:
    """The setting that says where the hookpoint's coder is."""
    named = coder_of(hookpoint)
    return f"coder.sparse_models.{named}" if named else "coder.sparse_model"


def format_setting_of(hookpoint: str) -> str:
    """The setting that says which format the hookpoint's coder is in."""
    named = coder_of(hookpoint)
    return f"coder.formats.{named}" if named else "coder.format"


def fetch(
    source: str | Path,
    module: str,
    patterns: Sequence[str],
    setting: str = "coder.sparse_model",
    *,
    at_hand: bool = False,
) -> Path:
    """The folder that holds the module's coder, as far as it is needed.

    `patterns` are names of files below the folder, for the hub. Where the hub's repository has none
    of these files, the folder does not exist. With `at_hand` nothing is asked of the hub: what was
    fetched before is taken. `setting` is the one that holds `source`, for errors:
    `SettingError` for a placeholder that cannot be filled, `DataError` for what is no folder and
    cannot be had from the hub.
    """
    location = _filled(str(source), module, setting)
    folder = local_path(location)
    if is_folder(folder):
        return folder
    from huggingface_hub import snapshot_download

    repository, inside = _on_hub(location)
    try:
        fetched = snapshot_download(
            repository,
            allow_patterns=[f"{inside}{pattern}" for pattern in patterns],
            local_files_only=at_hand,
        )
    except _hub_errors() as error:
        raise DataError(
            f"{setting} = {location!r} is no folder and cannot be read from the Hugging Face hub: "
            f"{type(error).__name__}: {error}"
        ) from error
    return Path(fetched) / inside


def held(source: str | Path, module: str, fetched: Path) -> list[str]:
    """Names, at most 20, of what a source holds: a folder's entries or a repository's files.

    Of a repository's files those in the folder that the source names, if there are any; without
    the hub, of a repository fetched earlier, what is in `fetched`.
    """
    names = sorted(path.name for path in fetched.iterdir()) if fetched.is_dir() else []
    location = _filled(str(source), module, "source")
    if not is_folder(local_path(location)):
        from huggingface_hub import HfApi

        repository, inside = _on_hub(location)
        with suppress(*_hub_errors()):
            files = HfApi().list_repo_files(repository)
            names = [file for file in files if file.startswith(inside)] or files
    return names[:_NAMED]


def _hub_errors() -> tuple[type[Exception], ...]:
    """What goes wrong on the hub."""
    import httpx
    from huggingface_hub.errors import HFValidationError

    return OSError, ValueError, httpx.HTTPError, HFValidationError


def _filled(source: str, module: str, setting: str) -> str:
    """`source` with its placeholders replaced."""
    layer = layer_of(bare(module))
    if "{layer}" in source and layer is None:
        raise SettingError(
            f"{setting} = {source!r} holds {{layer}}, but module {module!r} names no layer; "
            "expected a hookpoint such as 'layers.9'."
        )
    return source.replace("{layer}", str(layer)).replace("{hookpoint}", bare(module))


def _on_hub(location: str) -> tuple[str, str]:
    """Repository, and the folder inside with a slash behind it, empty for the root."""
    parts = location.split("/")
    if location.startswith(("/", ".", "~")) or len(parts) <= 2:
        return location, ""
    inside = "/".join(part for part in parts[2:] if part)
    return "/".join(parts[:2]), f"{inside}/" if inside else ""

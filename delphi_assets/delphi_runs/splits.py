"""Split files: Delphi's activations of a range of latents, checked, read and written.

A file holds `locations` [nnz, 3], uint16 or uint32: context, offset, latent - first; `activations`
[nnz], float16; `tokens` [n_contexts, ctx_len]. Here an entry is (latent, position, activation),
sorted in this order, with position = context * ctx_len + offset.

One file is in memory at a time, with 20 to 35 bytes an activation while it is sorted.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from delphi_assets.coders.files import unreadable
from delphi_assets.delphi_runs.layout import SplitFile
from delphi_assets.errors import DataError
from delphi_assets.ground.machine_cache import fingerprint

Array = np.ndarray[Any, Any]

_NARROW = 1 << 16


class SplitEntries(NamedTuple):
    """Activations in order of latent and position: int32, int64 and float16 arrays [nnz]."""

    latents: Array
    positions: Array
    activations: Array


class SplitFacts(NamedTuple):
    """What a checked file holds: shape and hash of its tokens, hash of the file, its rows."""

    shape: tuple[int, int]
    tokens_sha256: str
    sha256: str
    rows: int


def check_header(split: SplitFile, ctx_len: int) -> None:
    """Refuse, with a `DataError`, a file that is cut off or whose tensors are not as expected."""
    with _opened(split.path) as file:
        found = {
            name: (file.get_slice(name).get_dtype(), list(file.get_slice(name).get_shape()))
            for name in file.keys()  # noqa: SIM118
        }
    if set(found) != {"locations", "activations", "tokens"}:
        raise DataError(
            f"{split.path} holds the tensors {sorted(found)}; expected locations, activations and "
            "tokens. A cache saved without its tokens cannot be imported."
        )
    (kind, shape), (value, values), (token, tokens) = (
        found[name] for name in ("locations", "activations", "tokens")
    )
    rows = values[0] if len(values) == 1 else -1
    if kind not in ("U16", "U32") or shape != [rows, 3] or value != "F16":
        raise DataError(
            f"{split.path} holds locations {kind} {shape} and activations {value} {values}; "
            "expected U16 or U32 [nnz, 3] and F16 [nnz]."
        )
    if token not in ("I64", "I32", "U32", "U16") or len(tokens) != 2 or tokens[1] != ctx_len:
        raise DataError(
            f"{split.path} holds tokens {token} {tokens}; expected integers [contexts, {ctx_len}], "
            "as config.json says."
        )


def check_split(split: SplitFile) -> SplitFacts:
    """Read a file whose header is good, and check every value in it.

    Raises `DataError` for locations out of range or given twice, and for activations that are not
    finite (half precision overflowed when Delphi stored them) or zero.
    """
    with _opened(split.path) as file:
        tokens = file.get_tensor("tokens")
        locations = file.get_tensor("locations")
        _check_locations(split, locations, tokens.shape)
        _check_activations(split, file.get_tensor("activations"))
    if not tokens.size or int(tokens.min()) < 0 or int(tokens.max()) >= 1 << 31:
        raise DataError(f"{split.path} holds no tokens, or ids outside 0 to 2147483647.")
    _check_repeats(split, locations, tokens.shape)
    digest = hashlib.sha256(tokens.astype("<i4").tobytes()).hexdigest()
    shape = (int(tokens.shape[0]), int(tokens.shape[1]))
    return SplitFacts(shape, digest, fingerprint([split.path]), len(locations))


def read_entries(split: SplitFile) -> SplitEntries:
    """The activations of a file that has been checked, sorted."""
    with _opened(split.path) as file:
        shape = tuple(file.get_slice("tokens").get_shape())
        keys = _keys(file.get_tensor("locations"), shape)
        activations = file.get_tensor("activations")
    activations = activations[np.argsort(keys)]
    keys.sort()
    n_positions = shape[0] * shape[1]
    latents = (keys // n_positions).astype(np.int32) + np.int32(split.first)
    keys %= n_positions
    return SplitEntries(latents, keys, activations)


def _keys(locations: Array, shape: tuple[int, ...]) -> Array:
    """Numbers int64 [nnz] in order of latent and position: latent * positions + position."""
    n_contexts, ctx_len = shape
    keys = locations[:, 2].astype(np.int64)
    keys *= n_contexts
    keys += locations[:, 0]
    keys *= ctx_len
    keys += locations[:, 1]
    return keys


def read_tokens(split: SplitFile) -> Array:
    """Tokens [n_contexts, ctx_len] of a file, int32."""
    with _opened(split.path) as file:
        tokens: Array = file.get_tensor("tokens").astype(np.int32)
    return tokens


def write_split(split: SplitFile, entries: SplitEntries, tokens: Array) -> None:
    """Write a file as Delphi does: by context and offset, in the narrowest type that fits."""
    n_contexts, ctx_len = tokens.shape
    order = np.lexsort((entries.latents, entries.positions))
    positions = entries.positions[order]
    narrow = max(n_contexts, ctx_len, split.last - split.first) <= _NARROW
    locations = np.empty((len(order), 3), np.uint16 if narrow else np.uint32)
    locations[:, 0] = positions // ctx_len
    locations[:, 1] = positions % ctx_len
    locations[:, 2] = entries.latents[order] - split.first
    save_file(
        {
            "locations": locations,
            "activations": entries.activations[order].astype(np.float16, copy=False),
            "tokens": np.ascontiguousarray(tokens.astype(np.int64)),
        },
        split.path,
    )


def _check_locations(split: SplitFile, locations: Array, shape: tuple[int, int]) -> None:
    bounds = (*shape, split.last - split.first)
    for column, (name, bound) in enumerate(
        zip(("context", "offset", "latent"), bounds, strict=True)
    ):
        largest = int(locations[:, column].max(initial=0))
        if len(locations) and largest >= bound:
            raise DataError(
                f"{split.path} holds {name} {largest} in its locations (latents counted from the "
                f"first of the file); expected below {bound}."
            )


def _check_repeats(split: SplitFile, locations: Array, shape: tuple[int, int]) -> None:
    keys = _keys(locations, shape)
    keys.sort()
    same = keys[1:] == keys[:-1]
    if same.any():
        latent, position = divmod(int(keys[same.argmax()]), shape[0] * shape[1])
        raise DataError(
            f"{split.path} holds latent {split.first + latent} at position {position} twice; "
            "expected one activation each."
        )


def _check_activations(split: SplitFile, activations: Array) -> None:
    wrong = ~np.isfinite(activations) | (activations == 0)
    if wrong.any():
        place = int(wrong.argmax())
        raise DataError(
            f"{split.path} holds the activation {activations[place]} in row {place}; expected "
            "finite numbers other than zero. Infinite ones are activations above 65504 that were "
            "lost when Delphi stored them in half precision; cache the run anew."
        )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except DataError:
        raise
    except Exception as error:
        # NumPy lacks some kinds of numbers, which is told by whatever it stumbles over.
        raise unreadable(path, error) from error

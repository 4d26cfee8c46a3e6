"""Whether what a neighbour method of one's own finds fits the table neighbours.

In: its `Pairs`, block by block. Out: the same, or a `DataError` that says what is wrong with them.
"""

from collections.abc import Iterator

import numpy as np

from delphi_assets.errors import DataError
from delphi_assets.selection.neighbours.method import Pairs


def fitting(found: Iterator[Pairs], method: str, width: int) -> Iterator[Pairs]:
    """The same pairs, of `width` latents; raises `DataError` for such as the table cannot hold."""
    last = -1
    for given in found:
        try:
            pairs = Pairs(*map(np.asarray, given))
        except TypeError:
            problem: str | None = f"a {type(given).__name__} that is no three arrays"
        else:
            problem = _problem(pairs, last, width)
        if problem:
            raise DataError(
                f"the neighbour method {method!r} gave {problem}; expected three arrays [pairs]: "
                f"latents and other latents from 0 to {width - 1} and finite similarities, each "
                "pair once, all pairs of a latent in one block, and blocks in order of latents."
            )
        last = max(pairs.latent.tolist(), default=last)
        yield pairs


def _problem(pairs: Pairs, last: int, width: int) -> str | None:
    if (problem := _malformed(pairs, width)) is not None or len(pairs.latent) == 0:
        return problem
    latent, neighbour, _ = pairs
    if latent.min() <= last:
        return f"pairs of latent {latent.min()} in a block after one of latent {last}"
    if (latent == neighbour).any():
        return f"latent {latent[latent == neighbour][0]} as its own neighbour"
    if len(np.unique(latent.astype(np.int64) * width + neighbour)) < len(latent):
        return "a pair twice"
    return None


def _malformed(pairs: Pairs, width: int) -> str | None:
    latent, neighbour, similarity = pairs
    if latent.ndim != 1 or not latent.shape == neighbour.shape == similarity.shape:
        return f"arrays of shapes {[list(part.shape) for part in pairs]}"
    if len(latent) == 0:
        return None
    if any(part.dtype.kind not in "iu" for part in (latent, neighbour)):
        return f"latents as {latent.dtype} and {neighbour.dtype}"
    least, most = min(latent.min(), neighbour.min()), max(latent.max(), neighbour.max())
    if least < 0 or most >= width:
        return f"latents from {least} to {most}"
    if similarity.dtype.kind not in "iuf" or not np.isfinite(similarity).all():
        return "a similarity that is no finite number"
    return None

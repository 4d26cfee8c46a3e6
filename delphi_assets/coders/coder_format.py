"""One layout of coders on disk, as an object that a name stands for.

In: a source, which is a local folder, and a module. Out: whether a coder of the module is there,
what is known of it before its weights are read, and the `Coder`.

A format knows its own coders and no others: two that know one is an error, which `coder.format` of
the profile settles. So what it goes by is a file or a key that no other layout has.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import torch

from delphi_assets.coders.coder import Coder, CoderShape


class HubFiles(NamedTuple):
    """Names of files below a source, `*` standing for anything, that are fetched from the hub."""

    describing: list[str]
    """What finding and describing a coder needs."""
    weights: list[str]
    """What loading it needs beside that."""


class Described(NamedTuple):
    """What is known of a coder before its weights are read."""

    shape: CoderShape
    hook: str | None = None
    """What its files say it reads, a name for `hooks.locate`; None where they do not say."""


class CoderFormat(ABC):
    """A layout of coders; it is told of hookpoints by their modules alone.

    A coder's *place* is what `find` gives: its folder, or its file where one folder holds several.
    """

    layout: str
    """Files by which it is known, for error messages."""

    @abstractmethod
    def hub_files(self, module: str) -> HubFiles:
        """What a repository of the hub may hold of the coder of a module without prefixes."""

    @abstractmethod
    def find(self, source: Path, module: str) -> Path | None:
        """The place of the module's coder; None when there is none of this format.

        Raises `DataError` where several are the module's.
        """

    @abstractmethod
    def files_of(self, place: Path, module: str) -> list[Path]:
        """Files whose content is the coder, in the order of its fingerprint."""

    @abstractmethod
    def describe(self, place: Path, module: str) -> Described:
        """Shape and hook; raises `DataError` for a coder that is damaged or cannot be computed."""

    @abstractmethod
    def load(self, place: Path, module: str, device: torch.device, dtype: torch.dtype) -> Coder:
        """The coder; raises `DataError` for damaged files or shapes that do not fit."""

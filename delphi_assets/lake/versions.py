"""Of what version published rows are, and whether they would come out otherwise now.

In: manifests. Out: a digest of what they hold, the versions of the code that made it, and in words
what has changed since a unit was written: the code, or what it was made from.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from delphi_assets.lake.code_versions import CODE_VERSIONS, unsaid
from delphi_assets.lake.manifests import Manifest

Inputs = Mapping[str, Sequence[Manifest]]
"""What a unit is made from, by table."""


def data_version(manifests: Iterable[Manifest]) -> str:
    """A digest that is another one when, and only when, what these units hold is."""
    held = sorted(f"{manifest.unit.path} {manifest.content}" for manifest in manifests)
    return hashlib.sha256("\n".join(held).encode()).hexdigest()[:16]


def data_versions(inputs: Inputs) -> dict[str, str]:
    """Those of what a unit is made from, as its manifest notes them."""
    return {table: data_version(held) for table, held in inputs.items()}


def code_versions(manifests: Iterable[Manifest]) -> tuple[int, ...]:
    """Of the code that made these units, ascending, each once."""
    return tuple(sorted({manifest.code for manifest in manifests}))


def rebuild_of(
    manifests: Iterable[Manifest], cost: str, made_from: Mapping[str, Inputs] | None = None
) -> str | None:
    """What to say of units that stay though something has changed, and what `rebuild` costs.

    `made_from` says it of units by their path. None where nothing has changed.
    """
    told = {
        change
        for manifest in manifests
        for change in changes(manifest, (made_from or {}).get(manifest.unit.path))
    }
    if not told:
        return None
    return f"{'; '.join(sorted(told))}: kept. rebuild = true writes it again, which {cost}."


def changes(manifest: Manifest, inputs: Inputs | None = None) -> list[str]:
    """What has changed since a unit was written, in words: the code, and what it is made from.

    A manifest that does not note what its rows were made from was written when all was of the code
    that is unsaid.
    """
    now = CODE_VERSIONS.get(manifest.table, manifest.code)
    of_code = [f"code version {manifest.code}, now {now}"] if manifest.code != now else []
    return [*of_code, *changes_of_inputs(manifest, inputs or {})]


def changes_of_inputs(manifest: Manifest, inputs: Inputs) -> list[str]:
    """What a unit is made from that has changed since, in words."""
    told = []
    for table, held in inputs.items():
        noted = manifest.inputs.get(table)
        if noted is not None:
            changed = noted != data_version(held)
        else:
            before = manifest.code_version is None
            changed = before and any(one.code != unsaid(table) for one in held)
        if changed:
            told.append(f"made from other {table} than are there now")
    return told

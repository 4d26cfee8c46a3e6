"""Non-activating windows: whole aligned windows in which a latent is silent.

In: a selection, and what its sources need of the lake. Out: `Sources`, ready to be asked for the
latents of a bucket (`sources`), each for its share, in the order of
`selection.non_activating_source`:

- random (`sql/examples/5_silent/non_activating_random.sql`): drawn from all windows.
- co-occurrence, decoder, encoder (`neighbours`): where the latents most like it fire.
- semantic (`semantic`): nearest in meaning to the windows in which it fires.

A window that one source gave is not offered by the next. What a source lacks stays missing and is
named in the table shortfalls. No source offers a window that a train or test window reaches into,
and semantic none beside these (`selection.semantic_gap`): what stands next to a window in which a
latent fires is most like it, and often about the same.
"""

from delphi_assets.caching.hookpoint_tables import HookpointTables
from delphi_assets.caching.published import published_buckets
from delphi_assets.errors import NotReadyError
from delphi_assets.lake.lake import Lake, Manifest
from delphi_assets.lake.units import neighbours_unit
from delphi_assets.selection.non_activating.embeddings import window_embeddings
from delphi_assets.selection.non_activating.firings import read_firings
from delphi_assets.selection.non_activating.sources import Quota, Sources
from delphi_assets.settings import NeighbourMethod, Profile, SelectionSettings


def quotas(selection: SelectionSettings) -> list[Quota]:
    """Windows asked for by share, with the largest remainders; the first source wins ties."""
    n = selection.n_non_activating + selection.n_non_activating_train
    shares = selection.non_activating_source
    whole = {source: int(n * share) for source, share in shares.items()}
    by_remainder = sorted(shares, key=lambda source: whole[source] - n * shares[source])
    for source in by_remainder[: n - sum(whole.values())]:
        whole[source] += 1
    return [Quota(source, number) for source, number in whole.items()]


def sources_config(
    profile: Profile, lake: Lake, hookpoint: str, selection: SelectionSettings
) -> dict[str, object]:
    """What a selection's name stands for, as far as its sources go.

    Raises `NotReadyError` for neighbours that have not been found, `ConflictError` for neighbours
    found in another run's data.
    """
    config: dict[str, object] = {
        # In order: it matters, and two tables that differ in it are equal in JSON.
        "non_activating_source": [list(item) for item in selection.non_activating_source.items()]
    }
    if "semantic" in selection.non_activating_source:
        config["sentence_encoder"] = selection.sentence_encoder
    if methods := selection.neighbour_methods:
        found = {name: _published_neighbours(profile, lake, hookpoint, name) for name in methods}
        config["non_activating_source.neighbours"] = {
            method: [file.sha256 for file in manifest.files] for method, manifest in found.items()
        }
    return config


def open_sources(
    profile: Profile, lake: Lake, tables: HookpointTables, selection: SelectionSettings
) -> Sources:
    """What the sources of a selection need; the table embeddings is written if need be.

    Raises as `sources_config` and `embeddings.window_embeddings`.
    """
    hookpoint, methods = tables.hookpoint, selection.neighbour_methods
    neighbours: dict[str, list[str]] = {
        method: lake.checked(
            "neighbours", _published_neighbours(profile, lake, hookpoint, method).files
        )
        for method in methods
    }
    firings = (
        read_firings(lake, published_buckets(profile, lake, hookpoint), tables.num_latents)
        if methods
        else None
    )
    embeddings = (
        window_embeddings(
            profile,
            lake,
            tables,
            sentence_encoder=selection.sentence_encoder,
            example_ctx_len=selection.example_ctx_len,
        )
        if "semantic" in selection.non_activating_source
        else None
    )
    return Sources(
        quotas(selection),
        selection.example_ctx_len,
        tables.size.n_tokens,
        profile.draws_of(selection, hookpoint),
        selection.semantic_gap,
        profile.model.device,
        neighbours,
        firings,
        embeddings,
    )


def _published_neighbours(
    profile: Profile, lake: Lake, hookpoint: str, method: NeighbourMethod
) -> Manifest:
    """A method's neighbours, however many were asked for."""
    manifest = lake.manifest(neighbours_unit(profile.run.name, hookpoint, method))
    if manifest is None:
        raise NotReadyError(
            f"selection.non_activating_source asks for windows of neighbours by {method!r}, but "
            f"{lake!r} holds none of run {profile.run.name!r} at {hookpoint!r}; materialize the "
            f"asset 'neighbours' with neighbours.methods = [{method!r}] first."
        )
    n_neighbours = {"neighbours.n_neighbours": manifest.config["neighbours.n_neighbours"]}
    manifest.check_config({**n_neighbours, **profile.hookpoint_config(hookpoint)})
    return manifest

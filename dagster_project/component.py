"""The component `dagster_project.Run`: a run in a code location that may serve several.

In: `defs.yaml` files of a Dagster project, an instance a profile:

    type: dagster_project.Run
    attributes:
      profile: profile.toml

Out: the definitions of each run. The first keeps plain names, as if it were alone, so that its
history stays its own when others come; first is who stands first in its file, and whose folder
comes first by name.
"""

from collections.abc import Mapping

import dagster as dg
from pydantic import Field

from dagster_project.served_run import ServedRun
from dagster_project.serving import definitions_of
from delphi_assets.errors import SettingError


class Run(dg.Component, dg.Model, dg.Resolvable):
    """A profile: its assets, checks, jobs and resources."""

    profile: str = Field(
        description="file of the profile, from the folder of the Dagster project; or the name of "
        "one that is shipped"
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """What Dagster shows of the run.

        Raises `SettingError` for a profile that cannot be used, or whose run is served already.
        """
        return definitions_of(served_by(context.component_tree)[self.profile])


def served_by(tree: dg.ComponentTree) -> Mapping[str, ServedRun]:
    """The runs of a code location by the profiles that its components name, in their order.

    Raises `SettingError` for a profile that cannot be used, and for two of one run.
    """
    served: dict[str, ServedRun] = {}
    for component in tree.get_all_components(Run):
        here = tree.project_root / component.profile
        profile = str(here) if here.is_file() else component.profile
        run = ServedRun.load(profile, named=bool(served))
        if run.run in {other.run for other in served.values()}:
            raise SettingError(
                f"profile = {component.profile!r}: another component serves run {run.run!r}; "
                "expected a run.name of its own."
            )
        served[component.profile] = run
    return served

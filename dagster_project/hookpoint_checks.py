"""Asset checks with a result for each hookpoint.

In: what looks at one hookpoint and says how it is there. Out: an asset check with the partitions of
the asset, so that no hookpoint's result stands in the place of another's.
"""

from collections.abc import Callable

import dagster as dg

from dagster_project.served_run import ServedRun
from delphi_assets.lake.place import Place

VIOLATIONS = "n_violations"
"""Name of the number that every result carries, which the UI draws over the launches."""


def hookpoint_check(
    served: ServedRun,
    asset: str,
    name: str,
    description: str,
    look: Callable[[dg.DagsterInstance, Place], dg.AssetCheckResult],
    *,
    blocking: bool = False,
) -> dg.AssetChecksDefinition:
    """A check called `name` of the hookpoint that is launched; `look` gives its result.

    The UI's button "Execute" chooses no partition: then all hookpoints are looked at, and each gets
    its result.
    """

    @dg.asset_check(
        asset=served.key(asset),
        name=name,
        description=description,
        blocking=blocking,
        partitions_def=served.hookpoints,
        required_resource_keys=served.resource_keys,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        run = context.op_execution_context
        place = served.opened(run)
        if run.has_partition_key:
            return look(context.instance, place.at(run.partition_key))
        hookpoints = served.hookpoints.get_partition_keys()
        results = [look(context.instance, place.at(hookpoint)) for hookpoint in hookpoints]
        for hookpoint, result in zip(hookpoints, results, strict=True):
            evaluation = dg.AssetCheckEvaluation(
                asset_key=served.key(asset),
                check_name=name,
                passed=bool(result.passed),
                metadata=result.metadata,
                severity=result.severity,
                description=result.description,
                blocking=blocking,
                partition=hookpoint,
            )
            run.log_event(evaluation)  # type: ignore[arg-type]  # it takes this event as well
        return _together(results)

    return check


def _together(results: list[dg.AssetCheckResult]) -> dg.AssetCheckResult:
    """The result of the run, of what is told of each hookpoint."""
    told = [one for one in results if not one.passed] or results
    return dg.AssetCheckResult(
        passed=all(one.passed for one in results),
        severity=results[0].severity,
        description="\n\n".join(str(one.description) for one in told),
        metadata={VIOLATIONS: sum(int(str(one.metadata[VIOLATIONS].value)) for one in results)},
    )

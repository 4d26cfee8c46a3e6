"""Asset checks with a result for each hookpoint.

In: what looks at one hookpoint and says how it is there. Out: an asset check with the partitions of
the asset, so that no hookpoint's result stands in the place of another's.
"""

from collections.abc import Callable

import dagster as dg

from dagster_project.partitions import HOOKPOINTS

VIOLATIONS = "n_violations"
"""Name of the number that every result carries, which the UI draws over the launches."""


def hookpoint_check(
    asset: dg.AssetKey,
    name: str,
    description: str,
    look: Callable[[dg.DagsterInstance, str], dg.AssetCheckResult],
    *,
    blocking: bool = False,
) -> dg.AssetChecksDefinition:
    """A check called `name` of the hookpoint that is launched; `look` gives its result.

    The UI's button "Execute" chooses no partition: then all hookpoints are looked at, and each gets
    its result.
    """

    @dg.asset_check(
        asset=asset,
        name=name,
        description=description,
        blocking=blocking,
        partitions_def=HOOKPOINTS,
    )
    def check(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        run = context.op_execution_context
        if run.has_partition_key:
            return look(context.instance, run.partition_key)
        hookpoints = HOOKPOINTS.get_partition_keys()
        results = [look(context.instance, hookpoint) for hookpoint in hookpoints]
        for hookpoint, result in zip(hookpoints, results, strict=True):
            evaluation = dg.AssetCheckEvaluation(
                asset_key=asset,
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

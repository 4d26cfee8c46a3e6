-- Which predictions of a half-scored explanation need no more work?
-- Parameters: $run, $hookpoint, $selection, $model (the judge), $retryable (failures to try again),
--   $explanation_id, $latent, $scorer, $control. Needs: the view predictions.
-- Columns: example, variant, in that order.
select
    example,
    variant
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and model = $model
    and explanation_id = $explanation_id
    and latent = $latent
    and scorer = $scorer
    and control = $control
    and (failure is null or failure not in (select unnest($retryable)))
order by example, variant;

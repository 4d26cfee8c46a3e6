-- How many predictions need no more work, for each explanation, latent, scorer and control?
-- Parameters: $run, $hookpoint, $selection, $model (the judge), $retryable (failures to try again).
-- Needs: the view predictions.
-- Columns: explanation_id, latent, scorer, control, n_settled, in that order.
select
    explanation_id,
    latent,
    scorer,
    control,
    count(*) as n_settled
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and model = $model
    and (failure is null or failure not in (select unnest($retryable)))
group by explanation_id, latent, scorer, control
order by explanation_id, latent, scorer, control;

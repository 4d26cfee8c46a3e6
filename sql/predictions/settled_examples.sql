-- Which predictions of a half-scored explanation are answered, or failed for good?
-- Parameters: $run, $hookpoint, $selection, $model (the judge), $judge_hash, $open (failures to try
--   again), $explanation_id, $latent, $scorer, $control. Needs: the view predictions.
-- Columns: example, variant, failed_request (the question that failed; null for an answer), in the
--   order of example and variant.
select
    example,
    variant,
    case when failure is not null then request end as failed_request
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and model = $model
    and judge_hash = $judge_hash
    and explanation_id = $explanation_id
    and latent = $latent
    and scorer = $scorer
    and control = $control
    and (failure is null or failure not in (select unnest($open)))
order by example, variant;

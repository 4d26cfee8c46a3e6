-- Which predictions about some latents are answered, or failed for good?
-- Parameters: $run, $hookpoint, $selection, $latents (a list), $open (failures to try again).
-- Needs: the view predictions.
-- Columns: explanation_id, latent, scorer, judge, judge_hash, control, example, variant,
--   failed_request (the question that failed; null for an answer), in that order.
select
    explanation_id,
    latent,
    scorer,
    judge,
    judge_hash,
    control,
    example,
    variant,
    case when failure is not null then request end as failed_request
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and latent in (select unnest($latents::int[]))
    and (failure is null or failure not in (select unnest($open::varchar[])))
order by
    explanation_id,
    latent,
    scorer,
    judge,
    judge_hash,
    control,
    example,
    variant;

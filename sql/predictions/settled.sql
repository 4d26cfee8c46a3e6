-- How many answers are there to each explanation, latent, scorer, way to ask and control?
-- Parameters: $run, $hookpoint, $selection, $model (the judge).
-- Needs: the view predictions.
-- Columns: explanation_id, latent, scorer, judge_hash, control, n_settled (0 where all failed), in
--   that order.
select
    explanation_id,
    latent,
    scorer,
    judge_hash,
    control,
    count(*) filter (failure is null) as n_settled
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and model = $model
group by explanation_id, latent, scorer, judge_hash, control
order by explanation_id, latent, scorer, judge_hash, control;

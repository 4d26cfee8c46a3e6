-- How many answers are there to each explanation, latent, scorer, judge, way to ask and control?
-- Parameters: $run, $hookpoint, $selection. Needs: the view predictions.
-- Columns: explanation_id, latent, scorer, judge, judge_hash, control, n_settled (0
--   where all failed), in that order.
select
    explanation_id,
    latent,
    scorer,
    judge,
    judge_hash,
    control,
    count(*) filter (failure is null) as n_settled
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
group by explanation_id, latent, scorer, judge, judge_hash, control
order by explanation_id, latent, scorer, judge, judge_hash, control;

-- How well do explanations predict a hookpoint's latents, from the windows of a selection?
-- Needs: the view kept_scores.
-- Parameters: $run, $hookpoint, $selection.
-- Columns: those of the view scores.
select * exclude (run, hookpoint, selection)
from kept_scores
where run = $run and hookpoint = $hookpoint and selection = $selection
order by latent, control, scorer, judge, explanation_id, judge_hash;

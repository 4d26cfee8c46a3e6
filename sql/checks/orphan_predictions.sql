-- Which predictions judge an explanation that is not there?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: explanation_id, latent, scorer, model, control, and the number of such predictions.
select
    predictions.explanation_id,
    predictions.latent,
    predictions.scorer,
    predictions.model,
    predictions.control,
    count(*) as n_predictions
from predictions
anti join explanations
    on predictions.run = explanations.run
    and predictions.hookpoint = explanations.hookpoint
    and predictions.explanation_id = explanations.explanation_id
where predictions.run = $run and predictions.hookpoint = $hookpoint
group by all
order by all
limit $n_rows;

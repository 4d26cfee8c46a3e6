-- Which explanations of a run are there to be written as Delphi's files?
-- Parameters: $run, $hookpoint; $selection, $explainer, $model (null: every one).
-- Needs: the view explanations.
-- Columns: latent, explanation_id, selection, explainer, model, explanation, failure, in order of
--   latent.
select
    latent,
    explanation_id,
    selection,
    explainer,
    model,
    explanation,
    failure
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and ($selection::varchar is null or selection = $selection::varchar)
    and ($explainer::varchar is null or explainer = $explainer::varchar)
    and ($model::varchar is null or model = $model::varchar)
order by latent, explanation_id;

-- Which explanations of a run are there to be written as Delphi's files?
-- Parameters: $run, $hookpoint; $selection, $explainer, $explainer_model (null: every one).
-- Needs: the view explanations.
-- Columns: latent, explanation_id, selection, explainer, explainer_model, explanation, failure, in order of
--   latent, selection, explainer and explainer_model: of those equal in these the one written last. Of
--   failures only 'unparseable', which Delphi has a text for; of candidates only the chosen ones.
-- `lag(...) is null` keeps the first row, see sql/views/explanations.sql.
select
    latent,
    explanation_id,
    selection,
    explainer,
    explainer_model,
    explanation,
    failure
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and (failure is null or failure = 'unparseable')
    and coalesce(chosen, true)
    and ($selection::varchar is null or selection = $selection::varchar)
    and ($explainer::varchar is null or explainer = $explainer::varchar)
    and ($explainer_model::varchar is null or explainer_model = $explainer_model::varchar)
qualify lag(written_at) over (
    partition by latent, selection, explainer, explainer_model
    order by coalesce(generation, 0) desc, written_at desc, explanation_id
) is null
order by latent, selection, explainer, explainer_model;

-- Which explanations of a hookpoint and selection can be judged?
-- Parameters: $run, $hookpoint, $selection, $explainer (null: every explainer).
-- Needs: the view explanations.
-- Columns: latent, explanation_id, explainer, explainer_model, prompt_hash, explanation, in order of latent.
select
    latent,
    explanation_id,
    explainer,
    explainer_model,
    prompt_hash,
    explanation
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and explanation is not null
    and coalesce(chosen, true)
    and ($explainer::varchar is null or explainer = $explainer::varchar)
order by latent, explanation_id;

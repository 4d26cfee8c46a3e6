-- Which texts did the best of k choose from?
-- Parameters: $run, $hookpoint, $latent.
-- Columns: selection, explainer_model, prompt_hash, candidate, its quick score, whether it was chosen,
--   its text or failure.
select
    selection,
    explainer_model,
    prompt_hash,
    candidate,
    quick_score,
    chosen,
    explanation,
    failure
from explanations
where run = $run and hookpoint = $hookpoint and latent = $latent and candidate is not null
order by selection, explainer_model, prompt_hash, candidate, explanation_id;

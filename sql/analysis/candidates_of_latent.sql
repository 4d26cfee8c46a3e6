-- Which texts did the best of k choose from?
-- Parameters: $run, $hookpoint, $latent.
-- Columns: selection, explainer model, prompt, candidate, its quick score, whether it was chosen,
--   its text or failure.
select
    selection,
    model,
    prompt_hash,
    candidate,
    quick_score,
    chosen,
    explanation,
    failure
from explanations
where run = $run and hookpoint = $hookpoint and latent = $latent and candidate is not null
order by selection, model, prompt_hash, candidate, explanation_id;

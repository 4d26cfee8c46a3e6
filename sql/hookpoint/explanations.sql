-- Which explanations does a latent have, failed ones too? The latest comes first.
-- Needs: the view explanations.
-- Parameters: $run, $hookpoint, $latent.
-- Columns: those of `hookpoint.Explanation`.
select
    explanation_id,
    selection,
    explainer,
    explainer_model,
    explanation,
    failure,
    cost,
    written_at
from explanations
where run = $run and hookpoint = $hookpoint and latent = $latent
order by coalesce(generation, 0) desc, written_at desc, explanation_id;

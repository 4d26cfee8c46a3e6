-- Which explanations are of a latent that has no row in latents?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: explanation_id, latent, selection, explainer, explainer_model.
select
    explanations.explanation_id,
    explanations.latent,
    explanations.selection,
    explanations.explainer,
    explanations.explainer_model
from explanations
anti join latents
    on explanations.run = latents.run
    and explanations.hookpoint = latents.hookpoint
    and explanations.latent = latents.latent
where explanations.run = $run and explanations.hookpoint = $hookpoint
order by explanations.latent, explanations.explanation_id
limit $n_rows;

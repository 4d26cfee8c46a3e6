-- Which explanations were written last?
-- Parameters: $run, $hookpoint, $selection, $n_latents (most latents).
-- Columns: latent, explainer, explainer_model, explanation; the explanations of the latents that were explained
--   last, in order of latent.
with latest as (
    select latent
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and explanation is not null
        and coalesce(chosen, true)
    group by latent
    order by max((coalesce(generation, 0), written_at)) desc, latent
    limit $n_latents
)

select
    explanations.latent,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation
from explanations
inner join latest
    on explanations.latent = latest.latent
where
    explanations.run = $run
    and explanations.hookpoint = $hookpoint
    and explanations.selection = $selection
    and explanations.explanation is not null
    and coalesce(explanations.chosen, true)
order by
    explanations.latent,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation_id;

-- Which latents that can be explained have no explanation by an explainer and its model, in order?
-- Parameters: $run, $hookpoint, $selection, $explainer, $explainer_model, $n_rows (most rows shown).
-- Columns: latent, whether it was tried (and failed), and how many such latents there are in all.
-- `latents = "next 1000"` of a launch takes the first of those not tried, and tells explanations by
--   prompt and settings too (`explainers.outcomes`).
with tried as (
    select
        latent,
        bool_or(explanation is not null and coalesce(chosen, true)) as explained
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and explainer = $explainer
        and explainer_model = $explainer_model
    group by latent
)

select
    latents.latent,
    tried.latent is not null as tried,
    count(*) over () as n_left
from latents
left join tried
    on latents.latent = tried.latent
left join eligibility
    on eligibility.run = $run
    and eligibility.hookpoint = $hookpoint
    and eligibility.selection = $selection
    and latents.latent = eligibility.latent
    and eligibility.code <> 'eligible'
where
    latents.run = $run
    and latents.hookpoint = $hookpoint
    and latents.reason is null
    and eligibility.code is null
    and not coalesce(tried.explained, false)
order by latents.latent
limit $n_rows;

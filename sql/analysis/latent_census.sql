-- How many latents does the coder have, and how far did they get?
-- Parameters: $run, $hookpoint.
-- Columns: latents, of these live (fire at least once), explainable (a selection can explain it,
--   or none asks for it),
--   explained (at least one explanation that did not fail), scored (at least one score of it).
with explained as (
    select distinct latent
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
),

scored as (
    select distinct latent
    from kept_scores
    where
        run = $run
        and hookpoint = $hookpoint
        and control = 'none'
        and balanced_accuracy is not null
),

ineligible as (
    select
        latent,
        min_by(code, (min_examples, selection)) as code
    from eligibility
    where run = $run and hookpoint = $hookpoint
    group by latent
    having bool_and(code <> 'eligible')
)

select
    count(*) as n_latents,
    count(*) filter (latents.n_activations > 0) as n_live,
    count(*) filter (
        latents.n_activations > 0 and ineligible.latent is null
    ) as n_explainable,
    count(explained.latent) as n_explained,
    count(scored.latent) as n_scored
from latents
left join explained
    on latents.latent = explained.latent
left join scored
    on latents.latent = scored.latent
left join ineligible
    on latents.latent = ineligible.latent
where latents.run = $run and latents.hookpoint = $hookpoint;

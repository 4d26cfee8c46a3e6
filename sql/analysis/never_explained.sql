-- Which latents have no explanation, and why?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: latent, why ('never fires'; 'too rare' for every selection that asks for it; 'failed':
--   every explainer that was asked; 'not asked'), how many latents that is true of, the code
--   of the reason (of failures the last), how often it fires and in how many windows, its strongest token.
--   Those that fire most come first.
with explained as (
    select distinct latent
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
),

failed as (
    select
        latent,
        max_by(failure, (coalesce(generation, 0), written_at, explanation_id)) as failure
    from explanations
    where run = $run and hookpoint = $hookpoint and failure is not null
    group by latent
),

ineligible as (
    select
        latent,
        min_by(code, (min_examples, selection)) as code
    from eligibility
    where run = $run and hookpoint = $hookpoint
    group by latent
    having bool_and(code <> 'eligible')
),

missing as (
    select
        latents.latent,
        case
            when latents.n_activations = 0 then 'never fires'
            when failed.failure is not null then 'failed'
            when ineligible.latent is not null then 'too rare'
            else 'not asked'
        end as why,
        coalesce(failed.failure, latents.reason, ineligible.code) as reason,
        latents.n_activations,
        latents.n_windows,
        latents.top_tokens[1] as top_token
    from latents
    left join failed
        on latents.latent = failed.latent
    left join ineligible
        on latents.latent = ineligible.latent
    anti join explained
        on latents.latent = explained.latent
    where latents.run = $run and latents.hookpoint = $hookpoint
)

select
    latent,
    why,
    count(*) over (partition by why) as n_latents,
    reason,
    n_activations,
    n_windows,
    top_token
from missing
order by n_activations desc, latent
limit $n_rows;

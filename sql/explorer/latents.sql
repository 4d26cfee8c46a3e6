-- What is known of some latents, and how far did they get?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the views latents, examples, eligibility, explanations and kept_scores.
-- Columns: those of latents, and strongest_activation (the largest in magnitude); latents that have
--   no row there (an import without activations) have nulls; n_explanations that did not fail,
--   n_failed explanations, and state: dead, scored, explained, failed (nothing but failures), rare
--   (no selection can explain it) or waiting; reason says why it is dead or rare.
with explained as (
    select
        latent,
        count(explanation) as n_explanations,
        count(failure) as n_failed
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and latent >= $first
        and latent < $last
        and coalesce(chosen, true)
    group by latent
),

scored as (
    select distinct latent
    from kept_scores
    where
        run = $run
        and hookpoint = $hookpoint
        and latent >= $first
        and latent < $last
        and control = 'none'
        and n_examples > n_failed
),

ineligible as (
    select
        latent,
        min_by(
            format(
                'selection {} has {} windows of it, and needs {}',
                selection,
                n_windows,
                min_examples
            ),
            (min_examples, selection)
        ) as reason
    from eligibility
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
    group by latent
    having bool_and(code <> 'eligible')
),

known as (
    select latent
    from latents
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
    union
    select latent
    from examples
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
    union
    select latent from explained
    union
    select latent from scored
),

described as (
    select *
    from latents
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
)

select
    known.latent,
    described.* exclude (run, hookpoint, latent, reason, written_at),
    if(
        -described.min_activation > described.max_activation,
        described.min_activation,
        described.max_activation
    ) as strongest_activation,
    coalesce(explained.n_explanations, 0) as n_explanations,
    coalesce(explained.n_failed, 0) as n_failed,
    case
        when described.n_activations = 0 then 'dead'
        when explained.n_explanations > 0 and scored.latent is not null then 'scored'
        when explained.n_explanations > 0 then 'explained'
        when explained.n_failed > 0 then 'failed'
        when ineligible.latent is not null then 'rare'
        else 'waiting'
    end as state,
    case
        when described.n_activations = 0 then 'it never fires'
        else ineligible.reason
    end as reason
from known
left join described
    on known.latent = described.latent
left join explained
    on known.latent = explained.latent
left join scored
    on known.latent = scored.latent
left join ineligible
    on known.latent = ineligible.latent
order by known.latent;

-- Which explanations of near latents can each explanation be told from?
-- Parameters: $run, $hookpoint, $selection, $method (of the neighbours), $n_alternatives.
-- Needs: the views explanations and neighbours.
-- Columns: explanation_id, alternatives (ids of the explanations of the nearest latents that have
--   one by the same explainer, explainer_model and prompt, the nearest first; of several of one latent the
--   last), in order of explanation_id; no row without an alternative.
with judged as (
    select
        explanation_id,
        latent,
        explainer,
        explainer_model,
        prompt_hash,
        (coalesce(generation, 0), written_at, explanation_id) as written
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and explanation is not null
        and coalesce(chosen, true)
),

near as (
    select
        own.explanation_id,
        neighbours.rank,
        arg_max(other.explanation_id, other.written) as alternative
    from judged as own
    inner join neighbours
        on own.latent = neighbours.latent
    inner join judged as other
        on neighbours.neighbour = other.latent
        and own.explainer = other.explainer
        and own.explainer_model = other.explainer_model
        and own.prompt_hash is not distinct from other.prompt_hash
    where
        neighbours.run = $run
        and neighbours.hookpoint = $hookpoint
        and neighbours.method = $method
    group by own.explanation_id, neighbours.rank
)

select
    explanation_id,
    list(alternative order by rank)[:$n_alternatives] as alternatives
from near
group by explanation_id
order by explanation_id;

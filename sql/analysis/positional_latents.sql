-- Which latents fire by place in the context rather than by content?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: latent, how far its mean place is from that of all tokens in shares of the context
--   (position_bias: below 0 early, above 0 late), the same in standard errors of activations that
--   are spread at random (the standard deviation of a uniform place is 1 / sqrt(12); activations in
--   bunches give more), entropy of its places in bits, share of its mass on the first token of a
--   context, how often it fires, its strongest token, and its explanation, the last written. Only
--   latents three standard errors or more away, or with half of their mass on the first token; the
--   largest bias comes first.
with texts as (
    select
        latent,
        max_by(explanation, (coalesce(generation, 0), written_at, explanation_id)) as explanation
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
    group by latent
),

placed as (
    select
        *,
        position_bias * sqrt(12 * n_activations) as standard_errors
    from latents
    where run = $run and hookpoint = $hookpoint and n_activations > 0
)

select
    placed.latent,
    placed.position_bias,
    placed.standard_errors,
    placed.position_entropy,
    placed.first_token_share,
    placed.n_activations,
    placed.top_tokens[1] as top_token,
    texts.explanation
from placed
left join texts
    on placed.latent = texts.latent
where abs(placed.standard_errors) >= 3 or placed.first_token_share >= 0.5
order by abs(placed.position_bias) desc, placed.latent
limit $n_rows;

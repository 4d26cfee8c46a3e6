-- Which latents does a token activate most?
-- Parameters: $run, $hookpoint, $str_token (the token as text, with its leading space), $n_rows.
-- Columns: latent, the token's share of its activation mass and rank among its top tokens, firing
--   density, largest activation, and its explanations, without candidates that were not chosen.
with firing as (
    select
        latent,
        list_position(top_tokens, $str_token) as token_rank,
        top_token_shares[list_position(top_tokens, $str_token)] as share,
        token_density,
        max_activation
    from latents
    where run = $run and hookpoint = $hookpoint and list_contains(top_tokens, $str_token)
),

texts as (
    select
        latent,
        list(explanation order by explainer, explainer_model, explanation_id) as explanations
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
    group by latent
)

select
    firing.latent,
    firing.share,
    firing.token_rank,
    firing.token_density,
    firing.max_activation,
    texts.explanations
from firing
left join texts
    on firing.latent = texts.latent
order by firing.share desc, firing.latent
limit $n_rows;

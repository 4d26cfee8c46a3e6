-- Which latents stand for a hookpoint: rare ones, frequent ones, and those between?
-- Parameters: $run, $hookpoint, $n_latents (about how many).
-- Columns: latent, token_density, max_activation, top tokens with their shares; of the latents that
--   fire those at evenly spread ranks of density, the rarest first.
with ranked as (
    select
        latent,
        token_density,
        max_activation,
        top_tokens,
        top_token_shares,
        row_number() over (order by token_density, latent) - 1 as place,
        count(*) over () as n_ranked
    from latents
    where run = $run and hookpoint = $hookpoint and reason is null
)

select
    latent,
    token_density,
    max_activation,
    top_tokens,
    top_token_shares
from ranked
where
    place = 0
    or floor(place * ($n_latents - 1) / greatest(n_ranked - 1, 1))
    > floor((place - 1) * ($n_latents - 1) / greatest(n_ranked - 1, 1))
order by place;

-- What do the activations and weights of a bucket say about each of its latents?
-- Parameters: $activations (files of one bucket), $vocabulary, $weights (files),
--   $first, $last (the bucket's latents, half open), $cache_ctx_len, $example_ctx_len,
--   $min_examples, $n_contexts, $n_tokens, $n_eligible (see sql/corpus/size.sql), $written_at.
-- Needs: the temporary table positions (sql/corpus/positions.sql).
-- Columns: those of the table latents. Mass is the sum of absolute activations.
with fired as (
    select
        latent,
        position,
        activation
    from read_parquet($activations)
),

counted as (
    select
        latent,
        count(*) as n_activations,
        count(distinct position // $cache_ctx_len) as n_contexts,
        count(distinct position // $example_ctx_len) filter (
            position // $example_ctx_len < $n_tokens // $example_ctx_len
        ) as n_windows,
        max(activation) as max_activation,
        avg(activation) as mean_activation,
        quantile_cont(activation, [0.1, 0.25, 0.5, 0.75, 0.9]) as activation_quantiles,
        sum(abs(activation::double)) as mass
    from fired
    group by latent
),

token_mass as (
    select
        latent,
        token,
        sum(abs(activation::double)) as mass
    from fired
    inner join positions using (position)
    group by latent, token
),

token_shares as (
    select
        token_mass.latent,
        token_mass.token,
        token_mass.mass / counted.mass as share,
        row_number() over heaviest as place,
        sum(token_mass.mass / counted.mass) over heaviest as share_so_far
    from token_mass
    inner join counted using (latent)
    window heaviest as (
        partition by token_mass.latent
        order by token_mass.mass desc, token_mass.token
        rows unbounded preceding
    )
),

tokens as (
    select
        latent,
        list(str_token order by place) filter (place <= 10) as top_tokens,
        list(share order by place) filter (place <= 10) as top_token_shares,
        -- The margin forgives the last bits of a floating-point sum.
        count(*) filter (share_so_far - share < 0.8 - 1e-9) as n_tokens_80
    from token_shares
    inner join read_parquet($vocabulary) using (token)
    group by latent
)

select
    all_latents.latent,
    coalesce(n_activations, 0) as n_activations,
    coalesce(n_contexts, 0) as n_contexts,
    coalesce(n_windows, 0) as n_windows,
    coalesce(n_activations / nullif($n_eligible, 0), 0) as token_density,
    coalesce(n_contexts / nullif($n_contexts, 0), 0) as context_density,
    max_activation,
    mean_activation,
    activation_quantiles,
    coalesce(top_tokens, []) as top_tokens,
    coalesce(top_token_shares, []) as top_token_shares,
    coalesce(n_tokens_80, 0) as n_tokens_80,
    decoder_norm,
    encoder_norm,
    encoder_decoder_cosine,
    case
        when n_activations is null
            then 'never fires'
        when n_windows < $min_examples
            then format('fires in {} windows, min_examples is {}', n_windows, $min_examples)
    end as reason,
    $written_at::timestamptz as written_at
from range($first, $last) as all_latents (latent)
left join counted using (latent)
left join tokens using (latent)
left join read_parquet($weights) as weights using (latent)
order by all_latents.latent;

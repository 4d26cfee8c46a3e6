-- What do the activations and weights of a bucket say about each of its latents?
-- Parameters: $activations (files of one bucket), $vocabulary, $weights (files),
--   $first, $last (the bucket's latents, half open), $cache_ctx_len, $example_ctx_len,
--   $n_contexts, $n_tokens, $n_eligible (see sql/corpus/size.sql),
--   $n_bins (of the histogram), $neighbour_method (null without neighbours), $written_at.
-- Needs: the temporary table positions (sql/corpus/positions.sql) and the table
--   nearest_neighbours (sql/latents/nearest.sql).
-- Columns: those of the table latents, which gives the formulas. Mass is the sum of absolute
--   activations, an offset the place of a token in its context, beginning at 0.
with fired as (
    select
        latent,
        position,
        activation
    from read_parquet($activations, union_by_name = true)
),

counted as (
    select
        latent,
        count(*) as n_activations,
        count(distinct position // $example_ctx_len) filter (
            position // $example_ctx_len < $n_tokens // $example_ctx_len
        ) as n_windows,
        min(activation) as min_activation,
        max(activation) as max_activation,
        avg(activation) as mean_activation,
        quantile_cont(activation, [0.1, 0.25, 0.5, 0.75, 0.9]) as activation_quantiles,
        avg(position % $cache_ctx_len) as mean_offset,
        entropy(position % $cache_ctx_len) as position_entropy
    from fired
    group by latent
),

firing_contexts as (
    select
        latent,
        position // $cache_ctx_len as context,
        count(*) as n_fired
    from fired
    group by latent, context
),

spread as (
    select
        latent,
        count(*) as n_contexts,
        -- Variance over mean of the number per context, multiplied out: the index of dispersion of
        -- Cox & Lewis, The Statistical Analysis of Series of Events, 1966.
        sum(n_fired * n_fired) / sum(n_fired) - sum(n_fired) / $n_contexts as burstiness
    from firing_contexts
    group by latent
),

bins as (
    select
        fired.latent,
        -- The largest activation belongs to the last bin; in a range without width all are in the
        -- first.
        least(
            floor(
                coalesce(
                    (fired.activation::double - counted.min_activation)
                    / nullif(counted.max_activation::double - counted.min_activation, 0),
                    0
                ) * $n_bins
            ),
            $n_bins - 1
        )::int as bin,
        count(*) as n_fired
    from fired
    inner join counted using (latent)
    group by fired.latent, bin
),

histograms as (
    select
        counted.latent,
        list(coalesce(bins.n_fired, 0) order by every_bin.bin) as activation_histogram
    from counted
    cross join range($n_bins) as every_bin (bin)
    left join bins on counted.latent = bins.latent and every_bin.bin = bins.bin
    group by counted.latent
),

token_mass as (
    select
        latent,
        token,
        count(*) as n_fired,
        sum(abs(activation::double)) as mass
    from fired
    inner join positions using (position)
    group by latent, token
),

total_mass as (
    select
        latent,
        sum(mass) as mass
    from token_mass
    group by latent
),

first_mass as (
    select
        latent,
        sum(abs(activation::double)) as mass
    from fired
    inner join positions using (position)
    where first
    group by latent
),

token_shares as (
    select
        token_mass.latent,
        token_mass.token,
        token_mass.n_fired,
        token_mass.mass / total_mass.mass as share,
        row_number() over heaviest as place,
        sum(token_mass.mass / total_mass.mass) over heaviest as share_so_far
    from token_mass
    inner join total_mass using (latent)
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
        max(n_fired / "count") filter (place = 1) as top_token_recall,
        -- The margin forgives the last bits of a floating-point sum.
        count(*) filter (share_so_far - share < 0.8 - 1e-9) as n_tokens_80,
        sum(share * log2(1 / share)) as token_entropy,
        coalesce(sum(share) filter (special), 0) as special_token_share
    from token_shares
    inner join read_parquet($vocabulary, union_by_name = true) using (token)
    group by latent
),

corpus as (
    select avg(position % $cache_ctx_len) as mean_offset
    from positions
    where eligible
)

select
    all_latents.latent,
    coalesce(counted.n_activations, 0) as n_activations,
    coalesce(spread.n_contexts, 0) as n_contexts,
    coalesce(counted.n_windows, 0) as n_windows,
    coalesce(counted.n_activations / nullif($n_eligible, 0), 0) as token_density,
    coalesce(spread.n_contexts / nullif($n_contexts, 0), 0) as context_density,
    spread.burstiness,
    counted.min_activation,
    counted.max_activation,
    counted.mean_activation,
    counted.activation_quantiles,
    histograms.activation_histogram,
    coalesce(tokens.top_tokens, []) as top_tokens,
    coalesce(tokens.top_token_shares, []) as top_token_shares,
    tokens.top_token_recall,
    coalesce(tokens.n_tokens_80, 0) as n_tokens_80,
    tokens.token_entropy,
    coalesce(first_mass.mass, 0) / total_mass.mass as first_token_share,
    tokens.special_token_share,
    (counted.mean_offset - corpus.mean_offset) / $cache_ctx_len as position_bias,
    counted.position_entropy,
    weights.decoder_norm,
    weights.encoder_norm,
    weights.encoder_decoder_cosine,
    nearest.neighbour as nearest_neighbour,
    nearest.similarity as neighbour_similarity,
    $neighbour_method as neighbour_method,
    case when counted.latent is null then 'dead' end as reason,
    $written_at::timestamptz as written_at
from range($first, $last) as all_latents (latent)
cross join corpus
left join counted using (latent)
left join spread using (latent)
left join histograms using (latent)
left join total_mass using (latent)
left join first_mass using (latent)
left join tokens using (latent)
left join read_parquet($weights, union_by_name = true) as weights using (latent)
left join nearest_neighbours as nearest using (latent)
order by all_latents.latent;

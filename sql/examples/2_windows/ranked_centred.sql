-- Which windows, centred on a strong token, may represent a latent?
-- Parameters: $activations (files of one bucket), $example_ctx_len, $cache_ctx_len, $n_tokens
--   (positions of the run).
-- Needs: the temporary table peaks.
-- Makes the temporary table ranked: latent, place (1 the strongest), position (first token),
--   max_activation.
-- The strongest token of each aligned window goes to offset example_ctx_len // 2, unless the
-- context's edge is nearer. A window that reaches a stronger token than that is left out. Of windows
-- that overlap only the strongest stays, so that any two of a latent share no token.
create or replace temp table ranked as
with spans as (
    select
        latent,
        peak,
        max_activation,
        peak // $cache_ctx_len * $cache_ctx_len as context_start,
        least((peak // $cache_ctx_len + 1) * $cache_ctx_len, $n_tokens) as context_end
    from peaks
),

placed as (
    select
        latent,
        peak,
        max_activation,
        greatest(
            context_start,
            least(peak - $example_ctx_len // 2, context_end - $example_ctx_len)
        ) as position
    from spans
    where context_end - context_start >= $example_ctx_len
),

-- A window reaches into one or two aligned ones: by them a token is found among many.
reached as (
    select
        latent,
        peak,
        position,
        max_activation,
        unnest(
            range(
                position // $example_ctx_len,
                (position + $example_ctx_len - 1) // $example_ctx_len + 1
            )
        ) as "window"
    from placed
),

outshone as (
    select
        reached.latent,
        reached.peak
    from reached
    inner join read_parquet($activations, union_by_name = true) as fired
        on
            reached.latent = fired.latent
            and reached."window" = fired.position // $example_ctx_len
    where
        abs(fired.activation) > abs(reached.max_activation)
        and fired.position >= reached.position
        and fired.position < reached.position + $example_ctx_len
),

centred as (
    select
        latent,
        max_activation,
        position,
        row_number() over (partition by latent order by abs(max_activation) desc, peak) as strength
    from placed
    anti join outshone using (latent, peak)
),

contested as (
    select
        latent,
        position,
        max_activation,
        strength,
        min(strength) over (
            partition by latent
            order by position
            range between $example_ctx_len - 1 preceding and $example_ctx_len - 1 following
        ) as strongest
    from centred
)

select
    latent,
    row_number() over (partition by latent order by strength) as place,
    position,
    max_activation
from contested
where strength = strongest
order by latent, place;

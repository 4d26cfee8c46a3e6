-- Which windows, drawn at random for each latent of the pool, does it stay silent in?
-- Parameters: $n_non_activating, $example_ctx_len, $n_tokens, $draw_of (what draws
--   depend on, beside latent and window).
-- Needs: the temporary tables pool, chosen and non_activating, the temporary view occupied, the
--   temporary macro draw.
-- Columns: latent, position (first token).
-- 1. Each latent draws windows by hash, more if it fires often; repeats and taken windows are
--    dropped: those where it fires or that another source gave, and those that a centred train or
--    test window reaches into.
-- 2. Latents left short (they fire nearly everywhere) take the rest, in the order of a hash, from
--    all silent windows. So the count is exact whenever enough silent windows exist.
with latents as (
    select distinct latent
    from pool
),

occupied_counts as (
    select
        latent,
        count(*) as n_occupied
    from occupied
    group by latent
),

wanted as (
    select
        latent,
        (md5_number_lower(concat_ws(' ', $draw_of, latent, 'silent')) % 4294967296)::bigint
            as draw_key,
        -- Of these some repeat, and others are taken; a fifth more than that takes is tried.
        least(
            20 * $n_non_activating,
            (1.2 * $n_non_activating + 16)
            / greatest(1 - n_occupied / ($n_tokens // $example_ctx_len), 0.01)
        )::int as n_attempts
    from latents
    inner join occupied_counts using (latent)
    where $n_tokens // $example_ctx_len > 0
),

taken as not materialized (
    select latent, position // $example_ctx_len as "window" from occupied
    union all
    select latent, position // $example_ctx_len from chosen
    union all
    select latent, (position + $example_ctx_len - 1) // $example_ctx_len from chosen
),

attempts as (
    select
        latent,
        draw_key,
        unnest(range(n_attempts)) as attempt
    from wanted
),

drawn as (
    select
        latent,
        draw(draw_key, attempt) % ($n_tokens // $example_ctx_len) as "window",
        min(attempt) as attempt
    from attempts
    group by latent, "window"
),

-- Few windows are drawn and many taken, so the many are looked up among the few.
drawn_and_taken as not materialized (
    select
        latent,
        "window"
    from taken
    semi join drawn using (latent, "window")
),

silent as (
    select
        latent,
        "window"
    from drawn
    anti join drawn_and_taken using (latent, "window")
    qualify row_number() over (partition by latent order by attempt) <= $n_non_activating
),

short as (
    select
        wanted.latent,
        $n_non_activating - count(silent.latent) as n_missing
    from wanted
    left join silent using (latent)
    group by wanted.latent
    having n_missing > 0
),

taken_of_short as (
    select
        latent,
        "window"
    from taken
    semi join short using (latent)
),

everywhere as (
    select
        latent,
        "window",
        n_missing
    from short, range($n_tokens // $example_ctx_len) as windows ("window")
),

filled as (
    select
        latent,
        "window"
    from everywhere
    anti join taken_of_short using (latent, "window")
    anti join silent using (latent, "window")
    qualify row_number() over (
        partition by latent
        order by md5_number_lower(concat_ws(' ', $draw_of, latent, 'fill', "window")), "window"
    ) <= n_missing
)

select
    latent,
    "window" * $example_ctx_len as position
from silent
union all
select
    latent,
    "window" * $example_ctx_len as position
from filled
order by latent, position;

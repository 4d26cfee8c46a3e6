-- Which windows, drawn at random for each latent of the pool, does it stay silent in?
-- Parameters: $n_non_activating, $example_ctx_len, $n_tokens, $seed, $run.
-- Needs: the temporary tables pool and chosen, the temporary view loud.
-- Makes the temporary table non_activating: latent, position.
-- 1. Each latent draws 2 n + 16 windows by hash; repeats and taken windows are dropped: those where
--    it fires, and those that a centred train or test window reaches into.
-- 2. Latents left short (they fire nearly everywhere) take the rest, in the order of a hash, from
--    all silent windows. So the count is exact whenever enough silent windows exist.
create or replace temp table non_activating as
with wanted as (
    select distinct latent
    from pool
),

taken as (
    select latent, position // $example_ctx_len as "window" from loud
    union all
    select latent, position // $example_ctx_len from chosen
    union all
    select latent, (position + $example_ctx_len - 1) // $example_ctx_len from chosen
),

drawn as (
    select
        latent,
        md5_number_lower(concat_ws(' ', $seed, $run, latent, 'silent', attempt))
        % ($n_tokens // $example_ctx_len) as "window",
        min(attempt) as attempt
    from wanted, range(2 * $n_non_activating + 16) as attempts (attempt)
    where $n_tokens // $example_ctx_len > 0
    group by latent, "window"
),

-- Few windows are drawn and many taken, so the many are looked up among the few.
drawn_and_taken as (
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
    anti join taken using (latent, "window")
    anti join silent using (latent, "window")
    qualify row_number() over (
        partition by latent
        order by md5_number_lower(concat_ws(' ', $seed, $run, latent, 'fill', "window")), "window"
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

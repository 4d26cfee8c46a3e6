-- Which whole aligned windows cannot be given to each latent of the pool as silent ones?
-- Parameters: $example_ctx_len, $n_tokens (positions of the run), $gap (windows beside a train or
--   test window that cannot be given either).
-- Needs: the temporary tables pool and chosen, the temporary view occupied.
-- Columns: latent, window (position // example_ctx_len).
with reached as (
    select
        latent,
        position // $example_ctx_len as "window"
    from occupied
    union
    select
        latent,
        unnest(
            range(
                position // $example_ctx_len - $gap,
                (position + $example_ctx_len - 1) // $example_ctx_len + $gap + 1
            )
        ) as "window"
    from chosen
)

select
    latent,
    "window"
from reached
semi join pool using (latent)
where "window" >= 0 and "window" < $n_tokens // $example_ctx_len
order by latent, "window";

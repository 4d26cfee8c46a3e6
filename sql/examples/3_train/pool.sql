-- Which windows can be drawn for each latent, in which rank bin, and in what order?
-- Parameters: $min_examples, $max_examples, $n_quantiles, $example_ctx_len, $draw_of
--   (what draws depend on, beside latent and window).
-- Needs: the temporary table ranked, the temporary macro draw.
-- Makes the temporary table pool: latent, place (1 the strongest), position, quantile (rank bin, 0
--   the strongest), draw (the order of random draws, different for any two windows of a latent).
create or replace temp table pool as
with latents as (
    select
        latent,
        least(count(*), $max_examples) as n_windows,
        (md5_number_lower(concat_ws(' ', $draw_of, latent)) % 4294967296)::bigint as draw_key
    from ranked
    group by latent
    having least(count(*), $max_examples) >= $min_examples
)

select
    latent,
    place::int as place,
    position,
    ((place - 1) * $n_quantiles // n_windows)::int as quantile,
    draw(draw_key, position // $example_ctx_len) as draw
from ranked
inner join latents using (latent)
where place <= n_windows;

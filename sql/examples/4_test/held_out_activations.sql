-- Which windows has train left over, in equally wide ranges of activation?
-- Parameters: $n_quantiles (ranges of magnitude, from the weakest to the strongest window that could be drawn).
-- Needs: the temporary tables ranked, pool and train.
-- Makes the temporary table held_out: latent, place, position, quantile (the range, 0 the
--   strongest), draw.
create or replace temp table held_out as
with strengths as (
    select
        latent,
        place,
        pool.position,
        draw,
        abs(max_activation::double) as strength,
        max(abs(max_activation::double)) over (partition by latent) as strongest,
        min(abs(max_activation::double)) over (partition by latent) as weakest
    from pool
    inner join ranked using (latent, place)
)

select
    latent,
    place,
    position,
    -- The weakest window itself belongs to the last range; equal windows all to the first.
    least(
        $n_quantiles - 1,
        coalesce(
            floor((strongest - strength) / nullif(strongest - weakest, 0) * $n_quantiles), 0
        )
    )::int as quantile,
    draw
from strengths
anti join train using (latent, place);

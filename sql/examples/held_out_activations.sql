-- Test windows: equally many of each of $n_quantiles equally wide ranges of activation among those
--   that train left over, from the weakest to the strongest window that could be drawn.
-- Parameters: $n_examples_test, $n_quantiles.
-- Needs: the temporary tables ranked, pool and train.
-- Makes the temporary table test: latent, place, quantile (the range, 0 the strongest).
create or replace temp table test as
with strengths as (
    select
        latent,
        place,
        draw,
        max_activation::double as strength,
        max(max_activation::double) over (partition by latent) as strongest,
        min(max_activation::double) over (partition by latent) as weakest
    from pool
    inner join ranked using (latent, place)
),

ranges as (
    select
        latent,
        place,
        draw,
        -- The weakest window itself belongs to the last range; equal windows all to the first.
        least(
            $n_quantiles - 1,
            coalesce(
                floor((strongest - strength) / nullif(strongest - weakest, 0) * $n_quantiles), 0
            )
        )::int as quantile
    from strengths
),

drawn as (
    select
        latent,
        quantile,
        arg_min(place, draw, greatest($n_examples_test, 1)) as places
    from ranges
    anti join train using (latent, place)
    group by latent, quantile
),

turns as (
    select
        latent,
        quantile,
        unnest(places) as place,
        unnest(range(len(places))) as turn
    from drawn
)

select
    latent,
    place,
    quantile
from turns
qualify row_number() over (partition by latent order by turn, quantile) <= $n_examples_test
order by latent, place;

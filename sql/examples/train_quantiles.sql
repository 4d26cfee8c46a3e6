-- Sampler quantiles: equally many windows of each rank bin, drawn at random within it; what does
--   not divide goes to the strongest bins, what a bin lacks to the others.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, place, quantile.
create or replace temp table train as
with drawn as (
    select
        latent,
        quantile,
        arg_min(place, draw, $n_examples_train) as places
    from pool
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
qualify row_number() over (partition by latent order by turn, quantile) <= $n_examples_train
order by latent, place;

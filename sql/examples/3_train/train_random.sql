-- Sampler random: windows drawn at random from the whole pool.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, place, quantile.
create or replace temp table train as
with drawn as (
    select
        latent,
        arg_min(place, draw, $n_examples_train) as places,
        arg_min(quantile, draw, $n_examples_train) as quantiles
    from pool
    group by latent
)

select
    latent,
    unnest(places) as place,
    unnest(quantiles) as quantile
from drawn
order by latent, place;

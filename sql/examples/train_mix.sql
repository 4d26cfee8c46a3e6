-- Sampler mix: a share of the strongest windows, the rest equally from each rank bin.
-- Parameters: $n_examples_train, $ratio_top.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, place, quantile.
create or replace temp table train as
with drawn as (
    -- Bins are asked without the top, or those that it empties would be asked less often.
    select
        latent,
        quantile,
        arg_min(place, draw, $n_examples_train) as places
    from pool
    where place > round($n_examples_train * $ratio_top)
    group by latent, quantile
),

turns as (
    select
        latent,
        quantile,
        unnest(places) as place,
        unnest(range(len(places))) as turn
    from drawn
    union all
    select
        latent,
        quantile,
        place,
        -1 as turn
    from pool
    where place <= round($n_examples_train * $ratio_top)
)

select
    latent,
    place,
    quantile
from turns
qualify row_number() over (
    partition by latent
    order by turn, quantile, place
) <= $n_examples_train
order by latent, place;

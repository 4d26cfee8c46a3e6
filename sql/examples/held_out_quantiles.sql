-- Test windows: equally many of each rank bin among those that train left over.
-- Parameters: $n_examples_test.
-- Needs: the temporary tables pool and train.
-- Makes the temporary table test: latent, place, quantile.
create or replace temp table test as
with drawn as (
    select
        latent,
        quantile,
        arg_min(place, draw, greatest($n_examples_test, 1)) as places
    from pool
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

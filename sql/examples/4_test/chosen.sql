-- Which activating windows were chosen?
-- Parameters: $train_type, $test_type.
-- Needs: the temporary tables ranked, train and test.
-- Makes the temporary table chosen: latent, position, split, source, quantile, place,
--   max_activation, latent_max.
create or replace temp table chosen as
with drawn as (
    select *, 'train' as split, $train_type as source
    from train
    union all
    select *, 'test' as split, $test_type as source
    from test
),

strongest as (
    select
        latent,
        max_activation as latent_max
    from ranked
    where place = 1
)

select
    latent,
    position,
    split,
    source,
    quantile,
    place,
    max_activation,
    latent_max
from ranked
inner join drawn using (latent, place)
inner join strongest using (latent)
order by latent, place;

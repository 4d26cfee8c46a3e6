-- Test windows: equally many of each rank bin among those that train left over.
-- Parameters: $n_examples_test.
-- Needs: the temporary tables pool and train.
-- Makes the temporary table test: latent, position.
create or replace temp table test as
with held_out as (
    select
        latent,
        position,
        quantile,
        row_number() over (partition by latent, quantile order by draw, position) as turn
    from pool
    anti join train using (latent, position)
)

select
    latent,
    position
from held_out
qualify row_number() over (partition by latent order by turn, quantile) <= $n_examples_test
order by latent, position;

-- Sampler random: windows drawn at random from the whole pool.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, position.
create or replace temp table train as
select
    latent,
    position
from pool
qualify row_number() over (partition by latent order by draw, position) <= $n_examples_train
order by latent, position;

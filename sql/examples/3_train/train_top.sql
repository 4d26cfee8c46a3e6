-- Sampler top: the strongest windows.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, place, quantile.
create or replace temp table train as
select
    latent,
    place,
    quantile
from pool
where place <= $n_examples_train
order by latent, place;

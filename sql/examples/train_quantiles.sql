-- Sampler quantiles: equally many windows of each rank bin, drawn at random within it; what does
--   not divide goes to the strongest bins, what a bin lacks to the others.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, position.
create or replace temp table train as
select
    latent,
    position
from pool
qualify row_number() over (partition by latent order by turn, quantile) <= $n_examples_train
order by latent, position;

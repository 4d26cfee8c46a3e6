-- Sampler quantiles: equally many windows of each rank bin, drawn at random within it; what does
--   not divide goes to the strongest bins, what a bin lacks to the others.
-- Parameters: $n_examples_train.
-- Needs: the temporary table pool, the temporary macro in_turns.
-- Makes the temporary table train: latent, place, quantile.
create or replace temp table train as
select
    latent,
    place,
    quantile
from in_turns('pool', 0, $n_examples_train)
order by latent, place;

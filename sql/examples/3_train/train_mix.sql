-- Sampler mix: a share of the strongest windows, the rest equally from each rank bin.
-- Parameters: $n_examples_train, $ratio_top.
-- Needs: the temporary table pool, the temporary macro in_turns.
-- Makes the temporary table train: latent, place, quantile.
-- Bins are asked without the top, or those that it empties would be asked less often.
create or replace temp table train as
select
    latent,
    place,
    quantile
from pool
where place <= round($n_examples_train * $ratio_top)
union all
select
    latent,
    place,
    quantile
from in_turns(
    'pool',
    round($n_examples_train * $ratio_top),
    ($n_examples_train - round($n_examples_train * $ratio_top))::int
)
order by latent, place;

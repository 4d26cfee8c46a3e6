-- Sampler mix: a share of the strongest windows, the rest equally from each rank bin.
-- Parameters: $n_examples_train, $ratio_top.
-- Needs: the temporary table pool.
-- Makes the temporary table train: latent, position.
create or replace temp table train as
with shares as (
    select
        *,
        place <= round($n_examples_train * $ratio_top) as is_top
    from pool
),

turns as (
    select
        latent,
        position,
        quantile,
        place,
        is_top,
        -- Turns are counted anew without the top, or its bins would be asked less often.
        row_number() over (partition by latent, quantile, is_top order by draw, position) as turn
    from shares
)

select
    latent,
    position
from turns
qualify row_number() over (
    partition by latent
    order by is_top desc, if(is_top, place, turn), quantile
) <= $n_examples_train
order by latent, position;

-- The windows of a bucket, activating and silent, in the order in which they are numbered.
-- Needs: the temporary tables chosen and non_activating.
-- Columns: those of the table examples but for what stands in a window.
with windows as (
    select
        latent,
        position,
        true as activating,
        split,
        source,
        quantile,
        place,
        max_activation
    from chosen
    union all
    select
        latent,
        position,
        false as activating,
        'test' as split,
        'random' as source,
        null as quantile,
        null as place,
        0 as max_activation
    from non_activating
),

maxima as (
    select
        latent,
        max(latent_max) as latent_max
    from chosen
    group by latent
)

select
    latent,
    row_number() over (
        partition by latent
        order by activating desc, split desc, quantile, place, position
    ) - 1 as example,
    activating,
    split,
    source,
    quantile,
    position::bigint as position,
    max_activation,
    latent_max
from windows
inner join maxima using (latent)
order by latent, example;

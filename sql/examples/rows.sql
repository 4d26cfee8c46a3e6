-- The chosen windows of a bucket, with their tokens and activations.
-- Parameters: $activations (files of one bucket), $example_ctx_len, $train_type, $test_type.
-- Needs: the temporary tables positions, pool, train, test and non_activating.
-- Columns: those of the table examples but str_tokens.
with chosen as (
    select
        latent,
        position,
        true as activating,
        'train' as split,
        $train_type as source
    from train
    union all
    select
        latent,
        position,
        true as activating,
        'test' as split,
        $test_type as source
    from test
    union all
    select
        latent,
        position,
        false as activating,
        'test' as split,
        'random' as source
    from non_activating
),

maxima as (
    select distinct
        latent,
        latent_max
    from pool
),

numbered as (
    select
        chosen.*,
        pool.quantile,
        coalesce(pool.max_activation, 0) as max_activation,
        maxima.latent_max,
        row_number() over (
            partition by chosen.latent
            order by
                chosen.activating desc,
                chosen.split desc,
                pool.quantile,
                pool.place,
                chosen.position
        ) - 1 as example
    from chosen
    inner join maxima using (latent)
    left join pool
        on
            chosen.latent = pool.latent
            and chosen.position = pool.position
            and chosen.activating
),

places as (
    select
        latent,
        example,
        latent_max,
        position + unnest(range($example_ctx_len)) as position
    from numbered
),

window_tokens as (
    select
        places.latent,
        places.example,
        places.position,
        positions.token,
        coalesce(fired.activation, 0) as activation,
        -- Delphi's scale: ceil(10 a / max), clamped, in single precision.
        least(10, greatest(0, ceil(
            coalesce(fired.activation, 0) * 10::float / places.latent_max
        )))::tinyint as normalized
    from places
    inner join positions using (position)
    left join read_parquet($activations) as fired
        on places.latent = fired.latent and places.position = fired.position
),

windows as (
    select
        latent,
        example,
        list(token order by position) as tokens,
        list(activation order by position) as activations,
        list(normalized order by position) as normalized
    from window_tokens
    group by latent, example
)

select
    latent,
    example,
    activating,
    split,
    source,
    quantile,
    position,
    tokens,
    activations,
    normalized,
    max_activation,
    latent_max
from numbered
inner join windows using (latent, example)
order by latent, example;

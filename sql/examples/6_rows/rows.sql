-- The windows of a bucket, activating and silent, in the order in which they are numbered.
-- Parameters: $n_non_activating (silent windows for the scorers), $example_ctx_len, $max_examples,
--   $draw_of (what draws depend on, beside latent and window).
-- Needs: the temporary tables ranked, held_out, chosen, shared_documents and non_activating, the
--   temporary macro draw.
-- Columns: those of the table examples but for what stands in a window.
-- What there is of silent windows beyond those for the scorers goes to the explainer, drawn from all
-- sources alike.
with latents as (
    select
        latent,
        max(latent_max) as latent_max,
        (md5_number_lower(concat_ws(' ', $draw_of, latent, 'split')) % 4294967296)::bigint
            as draw_key
    from chosen
    group by latent
),

counted as (
    select
        latent,
        greatest(max(place) - $max_examples, 0) as n_weaker
    from ranked
    group by latent
),

bins as (
    select
        latent,
        quantile,
        'test' as split,
        count(*) as n_in_bin
    from held_out
    group by latent, quantile
),

windows as (
    select
        latent,
        position,
        true as activating,
        split,
        source,
        quantile,
        place,
        max_activation,
        null as neighbour,
        null as similarity
    from chosen
    union all
    select
        latent,
        position,
        false as activating,
        if(
            row_number() over (
                partition by latent
                order by draw(draw_key, position // $example_ctx_len)
            ) <= $n_non_activating,
            'test',
            'train'
        ) as split,
        source,
        null as quantile,
        null as place,
        0 as max_activation,
        neighbour,
        similarity
    from non_activating
    inner join latents using (latent)
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
    latent_max,
    neighbour,
    similarity,
    shared_document_share,
    n_weaker,
    n_in_bin
from windows
inner join latents using (latent)
inner join counted using (latent)
left join shared_documents using (latent)
left join bins using (latent, quantile, split)
order by latent, example;

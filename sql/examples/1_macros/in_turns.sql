-- Which windows does each latent get when its bins are asked in turns?
-- Makes the temporary table macro in_turns(offered, after, n): latent, place, quantile, turn (from
--   0), of at most n windows a latent. `offered` names a table with latent, quantile (the bin), place
--   and draw; its windows up to the place `after` are left alone. In each turn every bin gives the
--   next of its windows in the order of their draws, the strongest bin first; what a bin lacks comes
--   from the others.
create or replace temp macro in_turns(offered, after, n) as table
with bins as (
    select
        latent,
        quantile,
        count(*) as size
    from query_table(offered)
    where place > after
    group by latent, quantile
),

bins_of_latents as (
    select list(size) as sizes
    from bins
    group by latent
),

-- No latent needs more turns than this, so no bin's order is worked out any further.
deepest as (
    select
        max(
            list_filter(
                range(1, n + 1),
                lambda turns: turns = least(n, list_max(sizes))
                or list_sum(list_transform(sizes, lambda size: least(size, turns))) >= n
            )[1]
        ) as n_turns
    from bins_of_latents
),

drawn as (
    select
        latent,
        quantile,
        -- A number above 0 is asked for; the last step takes n.
        arg_min(place, draw, (select coalesce(n_turns, 1) from deepest)) as places
    from query_table(offered)
    where place > after
    group by latent, quantile
),

turns as (
    select
        latent,
        quantile,
        unnest(places) as place,
        unnest(range(len(places))) as turn
    from drawn
)

select
    latent,
    place,
    quantile,
    turn
from turns
qualify row_number() over (partition by latent order by turn, quantile) <= n;

-- Which latent did a sampler of one's own hold out windows for that cannot be test windows?
-- Needs: the temporary tables pool, train and held_out.
-- Columns: latent, n_given, n_fitting (different windows of the pool that train left over). A row at
--   most.
with free as (
    select
        latent,
        place,
        position
    from pool
    anti join train using (latent, place)
)

select
    held_out.latent,
    count(*) as n_given,
    count(distinct free.position) as n_fitting
from held_out
left join free
    on held_out.latent = free.latent
    and held_out.place = free.place
    and held_out.position = free.position
    and held_out.quantile is not null
    and held_out.draw is not null
group by held_out.latent
having n_given > n_fitting
order by held_out.latent
limit 1;

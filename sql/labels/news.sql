-- Which given labels say something else than is stored?
-- Parameters: $run, $hookpoint, $source. Needs: the table given (latent, name, value, number), the
--   view labels.
-- Columns: those of given, and replaces: whether there was another value. In order of latent, name.
with stored as (
    select
        latent,
        name,
        value
    from labels
    where run = $run and hookpoint = $hookpoint and source = $source
)

select
    given.*,
    stored.value is not null as replaces
from given
left join stored
    on given.latent = stored.latent and given.name = stored.name
where given.value is distinct from stored.value
order by given.latent, given.name;

-- What did users say of a latent?
-- Needs: the view labels.
-- Parameters: $run, $hookpoint, $latent.
-- Columns: those of `hookpoint.Label`, in order of source and name.
select
    source,
    name,
    value,
    number,
    written_at
from labels
where run = $run and hookpoint = $hookpoint and latent = $latent
order by source, name;

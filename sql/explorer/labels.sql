-- What did users say of some latents?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the view labels.
-- Columns: latent, source, name, value, number (null where it is none); in that order.
select
    latent,
    source,
    name,
    value,
    number
from labels
where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
order by latent, source, name;

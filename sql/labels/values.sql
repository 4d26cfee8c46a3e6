-- What are the labels of latents of a hookpoint?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open). Needs: the view labels.
-- Columns: source, name, latent, text and number (null where it is none); in order of these.
select
    source,
    name,
    latent,
    value as text,
    number
from labels
where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
order by source, name, latent;

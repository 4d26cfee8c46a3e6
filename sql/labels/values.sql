-- What are the labels of latents of a hookpoint?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open). Needs: the view labels.
-- Columns: source, name, and as lists in order of latent latents, texts and numbers; in order of
--   source, name.
select
    source,
    name,
    list(latent order by latent) as latents,
    list(value order by latent) as texts,
    list(number order by latent) as numbers
from labels
where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
group by source, name
order by source, name;

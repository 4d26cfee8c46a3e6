-- Which latents are most like some latents?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last), $n_neighbours
--   (most of a method).
-- Needs: the view neighbours.
-- Columns: latent, method, neighbours and similarities (lists, the most similar first).
select
    latent,
    method,
    list(neighbour order by rank) as neighbours,
    list(similarity order by rank) as similarities
from neighbours
where
    run = $run
    and hookpoint = $hookpoint
    and latent >= $first
    and latent < $last
    and rank <= $n_neighbours
group by latent, method
order by latent, method;

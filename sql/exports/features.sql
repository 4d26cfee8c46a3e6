-- What is known of some latents, and which decoder rows are like theirs?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open).
-- Needs: the views latents and neighbours.
-- Columns: latent, its largest and smallest activation, density, activation histogram, when it was
--   described, and its nearest neighbours by decoder with their cosines, the nearest first (null
--   without neighbours by that method). In order of latent.
with alike as (
    select
        latent,
        list(neighbour order by rank) as neighbours,
        list(similarity order by rank) as similarities
    from neighbours
    where
        run = $run
        and hookpoint = $hookpoint
        and method = 'decoder'
        and latent >= $first
        and latent < $last
        and rank <= 10
    group by latent
)

select
    latents.latent,
    latents.max_activation,
    latents.min_activation,
    latents.token_density,
    latents.activation_histogram,
    latents.written_at,
    alike.neighbours,
    alike.similarities
from latents
left join alike
    on latents.latent = alike.latent
where
    latents.run = $run
    and latents.hookpoint = $hookpoint
    and latents.latent >= $first
    and latents.latent < $last
order by latents.latent;

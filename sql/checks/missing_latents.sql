-- Which latents of the coder have no row in latents?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: hookpoint, latent.
select
    weights.hookpoint,
    weights.latent
from weights
anti join latents
    on weights.run = latents.run
    and weights.hookpoint = latents.hookpoint
    and weights.latent = latents.latent
where weights.run = $run and weights.hookpoint = $hookpoint
order by weights.latent
limit $n_rows;

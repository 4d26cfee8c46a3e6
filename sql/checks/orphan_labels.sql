-- Which labels are of a latent that has no row in latents?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: source, latent, name, value.
select
    labels.source,
    labels.latent,
    labels.name,
    labels.value
from labels
anti join latents
    on labels.run = latents.run
    and labels.hookpoint = latents.hookpoint
    and labels.latent = latents.latent
where labels.run = $run and labels.hookpoint = $hookpoint
order by labels.source, labels.latent, labels.name
limit $n_rows;

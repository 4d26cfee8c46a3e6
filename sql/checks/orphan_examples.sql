-- Which examples are of a latent that has no row in latents?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: latent, selection, and the number of such examples.
select
    examples.latent,
    examples.selection,
    count(*) as n_examples
from examples
anti join latents
    on examples.run = latents.run
    and examples.hookpoint = latents.hookpoint
    and examples.latent = latents.latent
where examples.run = $run and examples.hookpoint = $hookpoint
group by all
order by all
limit $n_rows;

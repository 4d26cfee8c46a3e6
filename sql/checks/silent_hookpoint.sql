-- Does no latent of the hookpoint fire at all?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: hookpoint, n_latents.
select
    hookpoint,
    count(*) as n_latents
from latents
where run = $run and hookpoint = $hookpoint
group by hookpoint
having max(n_activations) = 0
order by hookpoint
limit $n_rows;

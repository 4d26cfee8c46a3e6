-- Which latents got fewer windows than their selection asks for?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: selection, latent, windows missing per kind, the windows there were, and why.
select
    selection,
    latent,
    train_missing,
    test_missing,
    non_activating_missing,
    pool,
    reason
from shortfalls
where run = $run and hookpoint = $hookpoint
order by selection, latent
limit $n_rows;

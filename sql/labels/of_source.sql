-- Which labels did a source give?
-- Parameters: $source, $run, $hookpoint (each null for all). Needs: the view labels.
-- Columns: run, hookpoint, latent, name; in that order.
select
    run,
    hookpoint,
    latent,
    name
from labels
where
    source = $source
    and ($run::varchar is null or run = $run::varchar)
    and ($hookpoint::varchar is null or hookpoint = $hookpoint::varchar)
order by run, hookpoint, latent, name;

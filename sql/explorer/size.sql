-- Up to which latent is something known of a hookpoint?
-- Parameters: $run, $hookpoint. Needs: the views latents, examples and explanations.
-- Columns: n_latents, one more than the highest index; one row.
select coalesce(max(latent), -1) + 1 as n_latents
from (
    select max(latent) as latent from latents where run = $run and hookpoint = $hookpoint
    union all
    select max(latent) from examples where run = $run and hookpoint = $hookpoint
    union all
    select max(latent) from explanations where run = $run and hookpoint = $hookpoint
);

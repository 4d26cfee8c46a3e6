-- How many latents does a hookpoint have, and which is the last?
-- Parameters: $run, $hookpoint.
-- Columns: n_latents, last_latent (null without any).
select
    count(*) as n_latents,
    max(latent) as last_latent
from latents
where run = $run and hookpoint = $hookpoint;

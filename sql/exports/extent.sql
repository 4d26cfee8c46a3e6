-- How many latents does a hookpoint have?
-- Parameters: $run, $hookpoint. Needs: the view latents.
-- Columns: num_latents (0 before they were described), written_at (when the last was described).
select
    coalesce(max(latent) + 1, 0)::bigint as num_latents,
    max(written_at) as written_at
from latents
where run = $run and hookpoint = $hookpoint;

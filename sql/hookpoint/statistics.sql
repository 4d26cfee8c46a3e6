-- What is known of a latent from its activations and weights?
-- Needs: the view latents.
-- Parameters: $run, $hookpoint, $latent.
-- Columns: those of the table latents; no row before the latents were described.
select * exclude (run, hookpoint)
from latents
where run = $run and hookpoint = $hookpoint and latent = $latent
order by latent;

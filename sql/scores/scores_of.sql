-- How good are the explanations of some latents?
-- Parameters: latents (a list, which may come from a subquery: in double brackets then).
-- Needs: the view scored_latents.
-- The ends of the list reach the files, the list does not.
-- Columns: those of the view scored_latents.
create or replace macro scores_of(latents) as table
select *
from scored_latents
where
    latent >= list_min(latents)
    and latent <= list_max(latents)
    and latent in (select unnest(latents));

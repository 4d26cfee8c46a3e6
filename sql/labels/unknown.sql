-- Which given latents does a hookpoint not have?
-- Parameters: $run, $hookpoint. Needs: the table given (latent, ...), the views latents, weights and
--   explanations (of an import there may be nothing else).
-- Columns: latent, in order.
with known as (
    select latent
    from latents
    where run = $run and hookpoint = $hookpoint
    union all
    select latent
    from weights
    where run = $run and hookpoint = $hookpoint
    union all
    select latent
    from explanations
    where run = $run and hookpoint = $hookpoint
)

select distinct given.latent
from given
anti join known
    on given.latent = known.latent
order by given.latent;

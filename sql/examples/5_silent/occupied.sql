-- Which aligned windows can no source give to a latent? Those in which it fires, and those that it
--   has. A centred train or test window may reach into others.
-- Needs: the temporary view loud, the temporary table non_activating.
-- Makes the temporary view occupied: latent, position (first token).
create or replace temp view occupied as
select
    latent,
    position
from loud
union all
select
    latent,
    position
from non_activating;

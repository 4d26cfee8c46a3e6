-- Which windows has train left over, in the rank bins of the pool?
-- Needs: the temporary tables pool and train.
-- Makes the temporary table held_out: latent, place, position, quantile, draw.
create or replace temp table held_out as
select
    latent,
    place,
    position,
    quantile,
    draw
from pool
anti join train using (latent, place);

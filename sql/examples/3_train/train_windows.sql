-- Where do the train windows stand?
-- Needs: the temporary tables pool and train.
-- Makes the temporary table train_windows: latent, position.
create or replace temp table train_windows as
select
    latent,
    position
from pool
semi join train using (latent, place);

-- Where do the train windows stand?
-- Needs: the temporary tables pool and train.
-- Makes the temporary view train_windows: latent, position.
create or replace temp view train_windows as
select
    latent,
    position
from pool
semi join train using (latent, place);

-- Where do the test windows stand?
-- Needs: the temporary table chosen.
-- Makes the temporary view test_windows: latent, position.
create or replace temp view test_windows as
select
    latent,
    position
from chosen
where split = 'test';

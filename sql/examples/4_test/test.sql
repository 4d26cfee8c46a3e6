-- Test windows: equally many of each bin among those that train left over.
-- Parameters: $n_examples_test.
-- Needs: the temporary table held_out, the temporary macro in_turns.
-- Makes the temporary table test: latent, place, quantile.
create or replace temp table test as
select
    latent,
    place,
    quantile
from in_turns('held_out', 0, $n_examples_test)
order by latent, place;

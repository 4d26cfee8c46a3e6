-- Which windows do latents fall back on that have too few apart from their train documents?
-- Parameters: $n_examples_test.
-- Needs: the temporary tables held_out and apart.
-- Makes the temporary table not_apart: latent, place, quantile, draw.
create or replace temp table not_apart as
with enough as (
    select latent
    from apart
    group by latent
    having count(*) >= $n_examples_test
)

select
    latent,
    place,
    quantile,
    draw
from held_out
anti join enough using (latent)
anti join apart using (latent, place);

-- Which runs and hookpoints are there to look at?
-- Needs: the views latents, examples and explanations; predictions are of what is in these.
-- Columns: run, hookpoint, in that order.
select distinct run, hookpoint
from (
    select run, hookpoint from latents
    union all
    select run, hookpoint from examples
    union all
    select run, hookpoint from explanations
)
order by run, hookpoint;

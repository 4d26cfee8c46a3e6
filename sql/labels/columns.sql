-- Which labels do latents of a hookpoint have?
-- Parameters: $run, $hookpoint. Needs: the view labels.
-- Columns: source, name, n_latents that have one, and are_numbers: whether all of them are; in order
--   of source, name.
select
    source,
    name,
    count(*) as n_latents,
    count(*) = count(number) as are_numbers
from labels
where run = $run and hookpoint = $hookpoint
group by source, name
order by source, name;

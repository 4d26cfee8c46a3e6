-- How often do latents fire?
-- Parameters: $run, $hookpoint.
-- Columns: lower edge of a bin of log10 of the share of tokens, a quarter of a decade wide (null
--   for latents that never fire), and the latents in it.
select
    case
        when token_density > 0 then floor(4 * log10(token_density)) / 4
    end as log10_density,
    count(*) as n_latents
from latents
where run = $run and hookpoint = $hookpoint
group by log10_density
order by log10_density nulls first;


select
    scorer,
    judge,
    floor(2 * log10(token_density)) / 2 as log10_density,
    count(*) as n_scores,
    quantile_cont(f1, 0.25) as lower_quartile,
    median(f1) as median_f1,
    quantile_cont(f1, 0.75) as upper_quartile
from scored_latents
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and f1 is not null
    and token_density > 0
group by scorer, judge, floor(2 * log10(token_density)) / 2
order by scorer, judge, log10_density;

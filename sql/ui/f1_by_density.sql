-- Is F1 better for latents that fire often?
-- Parameters: $run, $hookpoint, $selection.
-- Columns: scorer, judge, lower edge of a half decade of log10 of the share of tokens on which a
--   latent fires, explanations with an F1 there (their own latent's), and the quartiles of it.
select
    scores.scorer,
    scores.judge,
    floor(2 * log10(latents.token_density)) / 2 as log10_density,
    count(*) as n_scores,
    quantile_cont(scores.f1, 0.25) as lower_quartile,
    median(scores.f1) as median_f1,
    quantile_cont(scores.f1, 0.75) as upper_quartile
from scores
inner join latents
    on scores.run = latents.run
    and scores.hookpoint = latents.hookpoint
    and scores.latent = latents.latent
where
    scores.run = $run
    and scores.hookpoint = $hookpoint
    and scores.selection = $selection
    and scores.control = 'none'
    and scores.f1 is not null
    and latents.token_density > 0
group by scores.scorer, scores.judge, floor(2 * log10(latents.token_density)) / 2
order by scores.scorer, scores.judge, log10_density;

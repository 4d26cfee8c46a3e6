-- Are latents that fire often explained better or worse?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection).
-- Columns: explainer, judge and how it was asked (judge_hash), half-decades of the share of tokens
--   on which a latent fires (density from, inclusive, to, exclusive), scored explanations there,
--   and quartiles of their score.
with binned as (
    select
        *,
        floor(2 * log10(token_density)) / 2 as log10_density
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer = $scorer
        and explanation is not null
        and balanced_accuracy is not null
        and token_density > 0
)

select
    explainer,
    explainer_model,
    judge,
    judge_hash,
    pow(10, log10_density) as density_from,
    pow(10, log10_density + 0.5) as density_to,
    count(*) as n_explanations,
    quantile_cont(balanced_accuracy, 0.25) as lower_quartile,
    median(balanced_accuracy) as median_balanced_accuracy,
    quantile_cont(balanced_accuracy, 0.75) as upper_quartile,
    avg(auroc) as mean_auroc
from binned
group by explainer, explainer_model, judge, judge_hash, log10_density
order by explainer, explainer_model, judge, judge_hash, log10_density;

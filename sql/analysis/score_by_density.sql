-- Are latents that fire often explained better or worse?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection).
-- Columns: explainer, judge and how it was asked (judge_hash), half-decades of the share of tokens
--   on which a latent fires (density from, inclusive, to, exclusive), scored explanations there,
--   and quartiles of their score.
with binned as (
    select
        explanations.explainer,
        explanations.explainer_model,
        scores.judge,
        scores.judge_hash,
        floor(2 * log10(latents.token_density)) / 2 as log10_density,
        scores.balanced_accuracy,
        scores.auroc
    from scores
    inner join explanations
        on scores.run = explanations.run
        and scores.hookpoint = explanations.hookpoint
        and scores.explanation_id = explanations.explanation_id
    inner join latents
        on scores.run = latents.run
        and scores.hookpoint = latents.hookpoint
        and scores.latent = latents.latent
    where
        scores.run = $run
        and scores.hookpoint = $hookpoint
        and scores.scorer = $scorer
        and scores.control = 'none'
        and scores.balanced_accuracy is not null
        and latents.token_density > 0
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

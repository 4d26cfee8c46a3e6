-- What does a better score cost, when another model explains?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection), $model and
--   $other_model (two explainer models).
-- Columns: selection, judge and how it was asked (judge_hash), latents that both models explained and
--   the judge scored; the mean balanced accuracy of each model's explanations there; what the other
--   model gained with a 95% interval (Student's, of the differences paired by latent; null with
--   fewer than three); US dollars a latent for the explanations of each, candidates and failed calls
--   included; of their calls those whose price is unknown, which the dollars leave out; and dollars
--   more for each hundredth gained (null where the other model gains nothing).
-- The interval is of latents drawn at random, and takes the corpus as fixed: that latents are judged
--   on windows of the same documents is not counted, as it is in hookpoint_scores.
with judged as (
    select
        selection,
        judge,
        judge_hash,
        latent,
        avg(balanced_accuracy) filter (explainer_model = $model) as score,
        avg(balanced_accuracy) filter (explainer_model = $other_model) as other_score
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer = $scorer
        and explainer_model in ($model, $other_model)
    group by all
    having score is not null and other_score is not null
),

requests as (
    select
        selection,
        latent,
        explainer_model,
        request
    from explanations
    where run = $run and hookpoint = $hookpoint and request is not null
    union
    select
        selection,
        latent,
        explainer_model,
        quick_request as request
    from explanations
    where run = $run and hookpoint = $hookpoint and quick_request is not null
),

costs as (
    select
        requests.selection,
        requests.latent,
        sum(completions.cost) filter (requests.explainer_model = $model) as cost,
        sum(completions.cost) filter (requests.explainer_model = $other_model) as other_cost,
        count(*) filter (
            requests.explainer_model in ($model, $other_model)
            and completions.error is null
            and completions.cost is null
        ) as n_unpriced
    from requests
    inner join completions
        on requests.request = completions.request
    where completions.run = $run
    group by all
),

compared as (
    select
        judged.selection,
        judged.judge,
        judged.judge_hash,
        count(*) as n_latents,
        avg(judged.score) as score,
        avg(judged.other_score) as other_score,
        avg(judged.other_score - judged.score) as gained,
        student95(count(*) - 1)
        * stddev_samp(judged.other_score - judged.score) / sqrt(count(*)) as half,
        coalesce(sum(costs.cost), 0) / count(*) as cost_per_latent,
        coalesce(sum(costs.other_cost), 0) / count(*) as other_cost_per_latent,
        coalesce(sum(costs.n_unpriced), 0)::bigint as n_unpriced
    from judged
    left join costs
        on judged.selection = costs.selection
        and judged.latent = costs.latent
    group by all
)

select
    selection,
    judge,
    judge_hash,
    n_latents,
    score,
    other_score,
    gained,
    gained - half as gained_low,
    gained + half as gained_high,
    cost_per_latent,
    other_cost_per_latent,
    n_unpriced,
    case
        when gained > 0 then (other_cost_per_latent - cost_per_latent) / (100 * gained)
    end as dollars_per_hundredth
from compared
order by selection, judge, judge_hash;

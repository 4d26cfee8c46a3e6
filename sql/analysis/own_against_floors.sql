-- Do explanations predict their own latent better than another latent's explanation, or none, does?
-- Parameters: $run, $hookpoint, $most_tokens (only latents with 80% of their activation mass on
--   this many distinct tokens or fewer; null is all).
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), metric, latents
--   for which it is defined, its mean over them (own); then, for the shuffled and for the empty
--   explanation: latents that have both, the floor's mean over these, and the mean of own minus
--   floor with a 95% interval (Student's, of the differences paired by latent; null with fewer than
--   three). The empty explanation has no explainer: it is the floor of all.
with defined as (
    select scored.*
    from scores_of_latents($run, $hookpoint) as scored
    inner join latents
        on latents.run = $run
        and latents.hookpoint = $hookpoint
        and scored.latent = latents.latent
    where
        scored.score is not null
        and latents.n_tokens_80 <= coalesce($most_tokens, latents.n_tokens_80)
),

compared as (
    select
        own.* exclude (control, constant, n_examples, n_failed),
        shuffled.score as shuffled,
        own.score - shuffled.score as above_shuffled,
        empty.score as empty,
        own.score - empty.score as above_empty
    from defined as own
    left join defined as shuffled
        on own.explainer = shuffled.explainer
        and own.explainer_model = shuffled.explainer_model
        and own.selection = shuffled.selection
        and own.scorer = shuffled.scorer
        and own.judge = shuffled.judge
        and own.judge_hash = shuffled.judge_hash
        and own.metric = shuffled.metric
        and own.latent = shuffled.latent
        and shuffled.control = 'shuffled'
    left join defined as empty
        on own.selection = empty.selection
        and own.scorer = empty.scorer
        and own.judge = empty.judge
        and own.judge_hash = empty.judge_hash
        and own.metric = empty.metric
        and own.latent = empty.latent
        and empty.control = 'empty'
    where own.control = 'none'
),

means as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        metric,
        count(*) as n_latents,
        avg(score) as own,
        count(shuffled) as n_shuffled,
        avg(shuffled) as shuffled,
        avg(above_shuffled) as above_shuffled,
        student95(count(shuffled) - 1)
        * stddev_samp(above_shuffled) / sqrt(count(shuffled)) as half_shuffled,
        count(empty) as n_empty,
        avg(empty) as empty,
        avg(above_empty) as above_empty,
        student95(count(empty) - 1)
        * stddev_samp(above_empty) / sqrt(count(empty)) as half_empty
    from compared
    group by all
)

select
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    metric,
    n_latents,
    own,
    n_shuffled,
    shuffled,
    above_shuffled,
    above_shuffled - half_shuffled as above_shuffled_low,
    above_shuffled + half_shuffled as above_shuffled_high,
    n_empty,
    empty,
    above_empty,
    above_empty - half_empty as above_empty_low,
    above_empty + half_empty as above_empty_high
from means
order by explainer, explainer_model, selection, scorer, judge, judge_hash, metric;

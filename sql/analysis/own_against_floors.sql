-- Do explanations predict their own latent better than another latent's explanation, or none, does?
-- Parameters: $run, $hookpoint, $most_tokens (only latents with 80% of their activation mass on
--   this many distinct tokens or fewer; null is all).
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), metric, latents
--   for which it is defined, its mean over them (own); then, for the shuffled and for the empty
--   explanation: latents that have both, the floor's mean over these, and the mean of own minus
--   floor with a 95% interval (Student's, of the differences paired by latent; null with fewer than
--   three). The empty explanation has no explainer: it is the floor of all.
with judged as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.model, 'none') as explainer_model,
        scores.model as judge,
        scores.* exclude (run, hookpoint, model)
    from scores
    inner join latents
        on scores.run = latents.run
        and scores.hookpoint = latents.hookpoint
        and scores.latent = latents.latent
    left join explanations
        on scores.run = explanations.run
        and scores.hookpoint = explanations.hookpoint
        and scores.explanation_id = explanations.explanation_id
    where
        scores.run = $run
        and scores.hookpoint = $hookpoint
        and latents.n_tokens_80 <= coalesce($most_tokens, latents.n_tokens_80)
),

metrics as (
    unpivot judged
    on
        precision, recall, specificity, f1, accuracy, balanced_accuracy, auroc, auprc, correlation
    into
        name metric
        value score
),

of_latents as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        metric,
        latent,
        avg(score) as score
    from metrics
    group by all
),

compared as (
    select
        own.* exclude (control),
        shuffled.score as shuffled,
        own.score - shuffled.score as above_shuffled,
        empty.score as empty,
        own.score - empty.score as above_empty
    from of_latents as own
    left join of_latents as shuffled
        on own.explainer = shuffled.explainer
        and own.explainer_model = shuffled.explainer_model
        and own.selection = shuffled.selection
        and own.scorer = shuffled.scorer
        and own.judge = shuffled.judge
        and own.judge_hash = shuffled.judge_hash
        and own.metric = shuffled.metric
        and own.latent = shuffled.latent
        and shuffled.control = 'shuffled'
    left join of_latents as empty
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

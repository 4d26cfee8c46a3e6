-- What do explainers and judges come to on the same latents: those that one model explained?
-- Parameters: $run, $hookpoint, $scorer, $model (explainer_model whose scored latents count).
-- Columns: explainer, its model, selection, judge and how it was asked (judge_hash), metric, latents
--   scored, different texts among their explanations, the mean over them (own); then, of latents
--   that have both, the mean with another latent's explanation (shuffled), the mean of own minus
--   shuffled and its 95% interval (Student's, of the differences paired by latent, as if no two
--   latents shared a document; null with fewer than three).
with scored as (
    select *
    from scores_of_latents($run, $hookpoint)
    where scorer = $scorer and score is not null
),

compared as (
    select
        own.explainer,
        own.explainer_model,
        own.selection,
        own.judge,
        own.judge_hash,
        own.metric,
        own.latent,
        own.score,
        shuffled.score as shuffled,
        own.score - shuffled.score as above_shuffled
    from scored as own
    left join scored as shuffled
        on own.explainer = shuffled.explainer
        and own.explainer_model = shuffled.explainer_model
        and own.selection = shuffled.selection
        and own.judge = shuffled.judge
        and own.judge_hash = shuffled.judge_hash
        and own.metric = shuffled.metric
        and own.latent = shuffled.latent
        and shuffled.control = 'shuffled'
    where
        own.control = 'none'
        and (own.selection, own.latent) in (
            select (selection, latent)
            from scored
            where control = 'none' and explainer_model = $model
        )
),

texts as (
    select
        explainer,
        explainer_model,
        selection,
        latent,
        max(explanation) as explanation
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and chosen is distinct from false
        and explanation is not null
    group by explainer, explainer_model, selection, latent
),

means as (
    select
        compared.explainer,
        compared.explainer_model,
        compared.selection,
        compared.judge,
        compared.judge_hash,
        compared.metric,
        count(*) as n_latents,
        count(distinct texts.explanation) as n_texts,
        avg(compared.score) as own,
        count(compared.shuffled) as n_shuffled,
        avg(compared.shuffled) as shuffled,
        avg(compared.above_shuffled) as above_shuffled,
        student95(count(compared.shuffled) - 1)
            * stddev_samp(compared.above_shuffled) / sqrt(count(compared.shuffled)) as half
    from compared
    left join texts
        using (explainer, explainer_model, selection, latent)
    group by
        compared.explainer,
        compared.explainer_model,
        compared.selection,
        compared.judge,
        compared.judge_hash,
        compared.metric
)

select
    explainer,
    explainer_model,
    selection,
    judge,
    judge_hash,
    metric,
    n_latents,
    n_texts,
    own,
    n_shuffled,
    shuffled,
    above_shuffled,
    above_shuffled - half as above_shuffled_low,
    above_shuffled + half as above_shuffled_high
from means
order by explainer, explainer_model, selection, judge, judge_hash, metric;

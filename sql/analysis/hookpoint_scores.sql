-- How good are the explanations of a hookpoint?
-- Parameters: $run, $hookpoint.
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), control; answers
--   asked for (n_examples), of these failed (n_failed) and their share; metric, latents for which
--   it is defined, its mean over them, and its mean weighted by how often a latent fires
--   (n_activations), each with a 95% interval. A latent with several explanations counts once, with
--   their mean.
-- The intervals are Student's, of the mean of latents drawn at random. That of the weighted mean
--   has the variance of a ratio (Cochran 1977, 6.8) and as many degrees of freedom as the effective
--   sample size (Kish 1965) less one. Null below two degrees of freedom.
with judged as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.model, 'none') as explainer_model,
        scores.selection,
        scores.scorer,
        scores.model as judge,
        scores.judge_hash,
        scores.control,
        scores.* exclude (run, hookpoint, selection, scorer, model, judge_hash, control)
    from scores
    left join explanations
        on scores.run = explanations.run
        and scores.hookpoint = explanations.hookpoint
        and scores.explanation_id = explanations.explanation_id
    where scores.run = $run and scores.hookpoint = $hookpoint
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

sums as (
    select
        of_latents.* exclude (latent, score),
        count(*) as n_latents,
        avg(of_latents.score) as mean,
        coalesce(stddev_samp(of_latents.score), 0) / sqrt(count(*)) as mean_error,
        sum(latents.n_activations) as weight,
        sum(latents.n_activations::double ** 2) as squares,
        sum(latents.n_activations * of_latents.score) / weight as weighted_mean,
        sum(latents.n_activations::double ** 2 * of_latents.score) as squares_score,
        sum(latents.n_activations::double ** 2 * of_latents.score ** 2) as squares_score_2
    from of_latents
    inner join latents
        on latents.run = $run
        and latents.hookpoint = $hookpoint
        and of_latents.latent = latents.latent
    group by all
),

errors as (
    select
        *,
        student95(n_latents - 1) * mean_error as half,
        student95(weight ** 2 / squares - 1) * sqrt(
            n_latents / nullif(n_latents - 1, 0)
            * greatest(
                0,
                squares_score_2
                - 2 * weighted_mean * squares_score
                + weighted_mean ** 2 * squares
            )
        ) / weight as weighted_half
    from sums
),

asked as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        sum(n_examples)::bigint as n_examples,
        sum(n_failed)::bigint as n_failed
    from judged
    group by all
)

select
    asked.explainer,
    asked.explainer_model,
    asked.selection,
    asked.scorer,
    asked.judge,
    asked.judge_hash,
    asked.control,
    asked.n_examples,
    asked.n_failed,
    asked.n_failed / asked.n_examples as failed_share,
    errors.metric,
    errors.n_latents,
    errors.mean,
    errors.mean - errors.half as mean_low,
    errors.mean + errors.half as mean_high,
    errors.weighted_mean,
    errors.weighted_mean - errors.weighted_half as weighted_mean_low,
    errors.weighted_mean + errors.weighted_half as weighted_mean_high
from asked
left join errors
    using (explainer, explainer_model, selection, scorer, judge, judge_hash, control)
order by
    asked.explainer,
    asked.explainer_model,
    asked.selection,
    asked.scorer,
    asked.judge,
    asked.judge_hash,
    asked.control,
    errors.metric;

-- Do explanations describe strong activations only?
-- Parameters: $run, $hookpoint.
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), control, truth, rank
--   bin of the window (0 the strongest; null when the latent is silent in it), latents, answers,
--   failures, share of right answers with a 95% interval, mean probability of true, and where one of
--   several is picked what a guess gives (chance). Where truth is true and chance null, the share of
--   right answers is recall by strength: of the windows of a bin, how many the explanation finds.
-- The interval is Wilson's with an effective sample size: answers about one latent are alike, so
--   the variance is that of a ratio summed by latent (Cochran 1977, 9A; Korn and Graubard 1998).
--   Null with one latent. It takes the corpus as fixed: that latents are judged on windows of the same
--   documents is not counted.
with of_latents as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.explainer_model, 'none') as explainer_model,
        predictions.selection,
        predictions.scorer,
        predictions.judge,
        predictions.judge_hash,
        predictions.control,
        predictions.truth,
        predictions.quantile,
        predictions.latent,
        count(predictions.prediction)::double as n_answers,
        count(predictions.failure) as n_failed,
        count(*) filter (predictions.prediction = predictions.truth)::double as n_right,
        sum(predictions.probability) as probability,
        count(predictions.probability) as n_probabilities,
        sum(predictions.chance) filter (predictions.failure is null) as chances
    from predictions
    left join explanations
        on predictions.run = explanations.run
        and predictions.hookpoint = explanations.hookpoint
        and predictions.explanation_id = explanations.explanation_id
    where
        predictions.run = $run
        and predictions.hookpoint = $hookpoint
    group by all
),

sums as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        truth,
        quantile,
        count(*) filter (n_answers > 0) as n_latents,
        sum(n_answers) as n_answers,
        sum(n_failed)::bigint as n_failed,
        sum(n_right) / nullif(sum(n_answers), 0) as share_right,
        sum(probability) / nullif(sum(n_probabilities), 0) as mean_probability,
        sum(chances) / nullif(sum(n_answers), 0) as chance,
        -- Of n_right - share_right * n_answers, summed over latents.
        sum(n_right ** 2)
        - 2 * share_right * sum(n_right * n_answers)
        + share_right ** 2 * sum(n_answers ** 2) as squares
    from of_latents
    group by all
),

intervals as (
    select
        *,
        case
            when n_latents > 1
                then wilson(
                    share_right,
                    least(
                        n_answers,
                        share_right * (1 - share_right) * n_answers ** 2 * (n_latents - 1)
                        / n_latents / nullif(greatest(squares, 0), 0)
                    )
                )
        end as of_share
    from sums
)

select
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    truth,
    quantile,
    n_latents,
    n_answers::bigint as n_answers,
    n_failed,
    share_right,
    of_share.low as share_right_low,
    of_share.high as share_right_high,
    mean_probability,
    chance
from intervals
order by
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    truth desc,
    quantile nulls last;

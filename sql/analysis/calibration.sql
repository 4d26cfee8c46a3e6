-- When a judge gives a probability, how often is it true?
-- Parameters: $run, $hookpoint.
-- Columns: scorer, judge and how it was asked (judge_hash), a bin of its probability of true, a
--   tenth wide (from, inclusive, to, exclusive but for the last), answers and latents in it, their
--   mean probability, the share that is true with a 95% interval, and, the same in all bins of a
--   judge, the mean distance of the two weighted by answers (expected calibration error: Naeini,
--   Cooper and Hauskrecht 2015). Only the own explanation, and no scorers that pick one of several.
-- The interval is Wilson's with an effective sample size, as in right_answers_by_quantile: answers
--   about one latent are alike. Null with one latent. It takes the corpus as fixed: that latents are
--   judged on windows of the same documents is not counted.
-- A judge sees as many true as false windows, so the share of true ones is about a half whatever it
--   answers; on the corpus it would be lower.
with of_latents as (
    select
        scorer,
        judge,
        judge_hash,
        latent,
        least(9, floor(10 * probability)) as bin,
        count(*)::double as n_answers,
        count(*) filter (truth)::double as n_true,
        sum(probability) as probability
    from predictions
    where
        run = $run
        and hookpoint = $hookpoint
        and control = 'none'
        and probability is not null
        and failure is null
        and chance is null
    group by all
),

sums as (
    select
        scorer,
        judge,
        judge_hash,
        bin,
        count(*) as n_latents,
        sum(n_answers) as n_answers,
        sum(probability) / sum(n_answers) as mean_probability,
        sum(n_true) / sum(n_answers) as share_true,
        -- Of n_true - share_true * n_answers, summed over latents.
        sum(n_true ** 2)
        - 2 * share_true * sum(n_true * n_answers)
        + share_true ** 2 * sum(n_answers ** 2) as squares
    from of_latents
    group by all
),

intervals as (
    select
        *,
        case
            when n_latents > 1
                then wilson(
                    share_true,
                    least(
                        n_answers,
                        share_true * (1 - share_true) * n_answers ** 2 * (n_latents - 1)
                        / n_latents / nullif(greatest(squares, 0), 0)
                    )
                )
        end as of_share,
        sum(n_answers * abs(mean_probability - share_true)) over of_judge
        / sum(n_answers) over of_judge as calibration_error
    from sums
    -- In order, so that the sums are the same to the last digit.
    window
        of_judge as (
            partition by scorer, judge, judge_hash
            order by bin
            rows between unbounded preceding and unbounded following
        )
)

select
    scorer,
    judge,
    judge_hash,
    bin / 10 as probability_from,
    (bin + 1) / 10 as probability_to,
    n_latents,
    n_answers::bigint as n_answers,
    mean_probability,
    share_true,
    of_share.low as share_true_low,
    of_share.high as share_true_high,
    calibration_error
from intervals
order by scorer, judge, judge_hash, bin;

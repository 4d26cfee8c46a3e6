-- Does a judge answer as a strong LLM did, on the same windows?
-- Parameters: $by_log_prob (whether windows are ranked by probabilities; else by yes and no).
-- Needs: the registered rows `given`: latent, strong (its yes or no), prediction, probability; a
--   failed answer has no prediction.
-- Columns: n_strong, the columns of the table judges whose names begin with strong_; one row.
with judged as (
    select
        latent,
        strong,
        prediction,
        case when $by_log_prob then probability else prediction::int end as ranked
    from given
    where prediction is not null
),

counted as (
    select
        count(*) as n_strong,
        avg((prediction = strong)::int) as agreement,
        avg(prediction::int) as yes,
        avg(strong::int) as strong_yes
    from judged
),

told_apart as (
    select
        fitting.latent,
        avg((fitting.ranked > other.ranked)::int + (fitting.ranked = other.ranked)::int / 2)
            as auroc
    from judged as fitting
    inner join judged as other
        on fitting.latent = other.latent
    where fitting.strong and not other.strong
    group by fitting.latent
),

of_latents as (
    select
        count(auroc) as n,
        avg(auroc) as auroc,
        case when n > 2 then student95(n - 1) * stddev_samp(auroc) / sqrt(n) end as reach
    from told_apart
)

select
    n_strong,
    agreement as strong_agreement,
    wilson(agreement, n_strong).low as strong_agreement_low,
    wilson(agreement, n_strong).high as strong_agreement_high,
    (agreement - (yes * strong_yes + (1 - yes) * (1 - strong_yes)))
    / nullif(1 - (yes * strong_yes + (1 - yes) * (1 - strong_yes)), 0) as strong_kappa,
    auroc as strong_auroc,
    case when reach is not null then greatest(0, auroc - reach) end as strong_auroc_low,
    case when reach is not null then least(1, auroc + reach) end as strong_auroc_high
from counted, of_latents;

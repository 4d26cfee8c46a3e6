-- Do scorers put explanations in the same order?
-- Parameters: $run, $hookpoint.
-- Columns: two scorers with their judges and how they were asked (judge_hash), the metric of each,
--   explanations that both judged, and the rank correlation of their scores (Spearman's, ties share
--   their mean rank) with a 95% interval (Fisher's z with the variance of Bonett and Wright 2000;
--   null with fewer than four and for 1 and -1). The correlation is null where either scorer gives
--   one score to all. A scorer that judges without an explanation is compared on the same latent.
-- The interval is of explanations drawn at random, and takes the corpus as fixed: that they are judged
--   on windows of the same documents is not counted.
-- The metric of a scorer is that of scored_latents.
with judged as (
    select
        explanation_id,
        latent,
        selection,
        {'scorer': scorer, 'judge': judge, 'judge_hash': judge_hash} as scorer,
        metric,
        score
    from scored_latents
    where run = $run and hookpoint = $hookpoint
),

pairs as (
    select
        one.scorer,
        one.metric,
        one.score,
        other.scorer as other_scorer,
        other.metric as other_metric,
        other.score as other_score
    from judged as one
    inner join judged as other
        on one.latent = other.latent
        and one.selection = other.selection
        and (
            one.explanation_id = other.explanation_id
            or one.explanation_id = 'none'
            or other.explanation_id = 'none'
        )
        and one.scorer < other.scorer
    where one.score is not null and other.score is not null
),

ranked as (
    select
        *,
        rank() over (partition by scorer, other_scorer order by score)
        + count(*) over (partition by scorer, other_scorer, score) / 2 as place,
        rank() over (partition by scorer, other_scorer order by other_score)
        + count(*) over (partition by scorer, other_scorer, other_score) / 2 as other_place
    from pairs
),

correlated as (
    select
        scorer,
        metric,
        other_scorer,
        other_metric,
        count(*) as n_explanations,
        -- Of a constant DuckDB's corr is NaN.
        case
            when min(score) < max(score) and min(other_score) < max(other_score)
                then greatest(-1, least(1, corr(place, other_place)))
        end as rank_correlation
    from ranked
    group by all
),

errors as (
    select
        *,
        case
            when n_explanations > 3 and abs(rank_correlation) < 1
                then normal95() * sqrt((1 + rank_correlation ** 2 / 2) / (n_explanations - 3))
        end as half
    from correlated
)

select
    scorer.scorer as scorer,
    scorer.judge,
    scorer.judge_hash as judge_hash,
    metric,
    other_scorer.scorer as other_scorer,
    other_scorer.judge as other_judge,
    other_scorer.judge_hash as other_judge_hash,
    other_metric,
    n_explanations,
    rank_correlation,
    case when half is not null then tanh(atanh(rank_correlation) - half) end
        as rank_correlation_low,
    case when half is not null then tanh(atanh(rank_correlation) + half) end
        as rank_correlation_high
from errors
order by errors.scorer, errors.other_scorer;

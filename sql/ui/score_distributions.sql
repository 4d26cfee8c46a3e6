-- How are a scorer's scores spread, with a latent's own explanation and with the floors?
-- Parameters: $run, $hookpoint, $selection.
-- Columns: scorer, judge, metric, control, lower edge of a bin of the metric, 0.05 wide (null where
--   it is undefined), the explanations in it, and for that scorer, judge and control the mean and,
--   where one of several is picked, what a guess gives (chance).
-- The metric of a scorer is that of scored_latents (metric_of); of one's own the first of balanced
--   accuracy (it says yes or no), correlation (it simulates), AUROC (it only ranks) and accuracy (it
--   picks) that is defined for any of its rows.
with judged as (
    select
        scorer,
        judge,
        control,
        balanced_accuracy,
        correlation,
        auroc,
        accuracy,
        chance,
        coalesce(
            metric_of(scorer),
            case
                when count(balanced_accuracy) over of_scorer > 0 then 'balanced_accuracy'
                when count(correlation) over of_scorer > 0 then 'correlation'
                when count(auroc) over of_scorer > 0 then 'auroc'
                when count(accuracy) over of_scorer > 0 then 'accuracy'
            end
        ) as metric
    from kept_scores
    where run = $run and hookpoint = $hookpoint and selection = $selection
    window of_scorer as (partition by scorer)
),

valued as (
    select
        scorer,
        judge,
        control,
        metric,
        case metric
            when 'balanced_accuracy' then balanced_accuracy
            when 'correlation' then correlation
            when 'auroc' then auroc
            when 'accuracy' then accuracy
        end as score,
        chance
    from judged
    where metric is not null
),

means as (
    select
        scorer,
        judge,
        control,
        avg(score) as mean,
        avg(chance) as chance
    from valued
    group by scorer, judge, control
)

select
    valued.scorer,
    valued.judge,
    valued.metric,
    valued.control,
    floor(20 * round(valued.score, 9)) / 20 as score_from,
    count(*) as n_scores,
    any_value(means.mean) as mean,
    any_value(means.chance) as chance
from valued
inner join means
    on valued.scorer = means.scorer
    and valued.judge = means.judge
    and valued.control = means.control
group by
    valued.scorer,
    valued.judge,
    valued.metric,
    valued.control,
    floor(20 * round(valued.score, 9)) / 20
order by valued.scorer, valued.judge, valued.control, score_from nulls first;

-- Which scorers judged latents of a hookpoint, and by which metric is each to be read?
-- Parameters: $run, $hookpoint. Needs: the view kept_scores, the macro metric_of.
-- Columns: scorer, metric: that of scored_latents (metric_of); of a scorer of one's own the first of
--   balanced accuracy (it says yes or no), correlation (it simulates), AUROC (it only ranks) and
--   accuracy (it picks) that is defined for any of its rows; in order of scorer.
select
    scorer,
    coalesce(
        metric_of(scorer),
        case
            when count(balanced_accuracy) > 0 then 'balanced_accuracy'
            when count(correlation) > 0 then 'correlation'
            when count(auroc) > 0 then 'auroc'
            else 'accuracy'
        end
    ) as metric
from kept_scores
where run = $run and hookpoint = $hookpoint
group by scorer
order by scorer;

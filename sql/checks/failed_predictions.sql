-- Which judges failed on too many examples?
-- Parameters: $run, $hookpoint, $most (largest share of failures that passes), $n_rows (most rows
--   shown).
-- Columns: scorer, judge, predictions asked for, failed, the share, and the most frequent reason.
select
    scorer,
    judge,
    count(*) as n_predictions,
    count(failure) as n_failed,
    count(failure) / count(*) as share_failed,
    mode(failure) as most_frequent_failure
from predictions
where run = $run and hookpoint = $hookpoint
group by scorer, judge
having count(failure) / count(*) > $most
order by scorer, judge
limit $n_rows;

-- How are the scores spread, with the own and with a shuffled explanation?
-- Parameters: $run, $hookpoint.
-- Columns: scorer, judge, control, lower edge of a bin of balanced accuracy, 0.05 wide
--   (null where it is undefined), and the scores in it. Judgements by one judge asked
--   in different ways (judge_hash) are counted together.
select
    scorer,
    judge,
    control,
    floor(20 * round(balanced_accuracy, 9)) / 20 as balanced_accuracy,
    count(*) as n_scores
from kept_scores
where run = $run and hookpoint = $hookpoint
group by scorer, judge, control, floor(20 * round(balanced_accuracy, 9)) / 20
order by scorer, judge, control, balanced_accuracy;

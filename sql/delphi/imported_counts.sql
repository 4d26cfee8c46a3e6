-- How many answers of Delphi's judge have imports stored for each explanation?
-- Parameters: $run, $hookpoint. Needs: the view predictions.
-- Columns: explanation_id, scorer, n_answers, in that order.
select
    explanation_id,
    scorer,
    count(*) as n_answers
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and judge_hash = 'delphi'
group by explanation_id, scorer
order by explanation_id, scorer;

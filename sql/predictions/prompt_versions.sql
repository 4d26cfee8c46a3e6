-- Which version of the shipped prompts have a selection's answers, by scorer and judge?
-- Parameters: $run, $hookpoint, $selection. Needs: the view predictions.
-- Columns: scorer, judge, prompt_version (the newest; 1 for rows that name none), in
--   order of scorer and judge.
select
    scorer,
    judge,
    max(coalesce(prompt_version, 1)) as prompt_version
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
group by scorer, judge
order by scorer, judge;

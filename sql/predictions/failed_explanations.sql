-- Why did the explanations of a hookpoint and selection fail?
-- Parameters: $run, $hookpoint, $selection, $explainer (null: every explainer).
-- Needs: the view explanations.
-- Columns: failure (the reason), n_failed; the most frequent reason first.
select
    failure,
    count(*) as n_failed
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and failure is not null
    and ($explainer::varchar is null or explainer = $explainer::varchar)
group by failure
order by n_failed desc, failure;

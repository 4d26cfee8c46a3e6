-- Which explainers failed on too many latents?
-- Parameters: $run, $hookpoint, $most (largest share of failures that passes), $n_rows (most rows
--   shown).
-- Columns: explainer, model, explanations tried, failed, the share, and the most frequent reason.
select
    explainer,
    model,
    count(*) as n_explanations,
    count(failure) as n_failed,
    count(failure) / count(*) as share_failed,
    mode(failure) as most_frequent_failure
from explanations
where run = $run and hookpoint = $hookpoint
group by explainer, model
having count(failure) / count(*) > $most
order by explainer, model
limit $n_rows;

-- Which explainers failed on too many latents?
-- Parameters: $run, $hookpoint, $most (largest share of failures that passes), $n_rows (most rows
--   shown).
-- Columns: explainer, explainer_model, explanations tried, failed, the share, and the most frequent reason.
select
    explainer,
    explainer_model,
    count(*) as n_explanations,
    count(failure) as n_failed,
    count(failure) / count(*) as share_failed,
    mode(failure) as most_frequent_failure
from explanations
where run = $run and hookpoint = $hookpoint
group by explainer, explainer_model
having count(failure) / count(*) > $most
order by explainer, explainer_model
limit $n_rows;

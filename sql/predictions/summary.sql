-- How many predictions of a hookpoint and selection are there now, and how did they turn out?
-- Parameters: $run, $hookpoint, $selection. Needs: the view predictions.
-- Columns: n_predictions, n_failed, n_without_probability (answered ones), one row.
select
    count(*) as n_predictions,
    count(*) filter (failure is not null) as n_failed,
    count(*) filter (failure is null and probability is null) as n_without_probability
from predictions
where run = $run and hookpoint = $hookpoint and selection = $selection;

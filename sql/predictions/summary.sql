-- How many predictions of a hookpoint are there now, and how did those of a selection turn out?
-- Parameters: $run, $hookpoint, $selection. Needs: the view predictions.
-- Columns: n_predictions (of all selections); of the selection: n_of_selection, n_failed,
--   n_without_probability (yes or no without one); one row.
select
    count(*) as n_predictions,
    count(*) filter (selection = $selection) as n_of_selection,
    count(*) filter (selection = $selection and failure is not null) as n_failed,
    count(*) filter (
        selection = $selection and prediction is not null and probability is null
    ) as n_without_probability
from predictions
where run = $run and hookpoint = $hookpoint;

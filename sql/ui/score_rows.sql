-- How many scores does a hookpoint have, under all selections?
-- Parameters: $run, $hookpoint.
-- Columns: n_scores.
select count(*) as n_scores
from kept_scores
where run = $run and hookpoint = $hookpoint;

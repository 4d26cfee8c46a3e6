-- What came of every explanation of a hookpoint and selection?
-- Parameters: $run, $hookpoint, $selection. Needs: the view explanations.
-- Columns: explanation_id, failure (null when there is a text), request, in order of the id.
select
    explanation_id,
    failure,
    request
from explanations
where run = $run and hookpoint = $hookpoint and selection = $selection
order by explanation_id;

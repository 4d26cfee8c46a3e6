-- What came of every explanation of a hookpoint?
-- Parameters: $run, $hookpoint. Needs: the view explanations.
-- Columns: explanation_id, selection, failure (null when there is a text), request, in order of the
--   id.
select
    explanation_id,
    selection,
    failure,
    request
from explanations
where run = $run and hookpoint = $hookpoint
order by explanation_id;

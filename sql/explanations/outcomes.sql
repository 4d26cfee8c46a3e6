-- What came of every explanation of a hookpoint?
-- Parameters: $run, $hookpoint. Needs: the view explanations.
-- Columns: explanation_id, latent, selection, failure (null when there is a text), request,
--   quick_score, chosen (false for candidates that lost or wait), in order of the id.
select
    explanation_id,
    latent,
    selection,
    failure,
    request,
    quick_score,
    coalesce(chosen, true) as chosen
from explanations
where run = $run and hookpoint = $hookpoint
order by explanation_id;

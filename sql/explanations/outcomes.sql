-- What came of every explanation of a hookpoint?
-- Parameters: $run, $hookpoint. Needs: the view explanations.
-- Columns: explanation_id, latent, selection, failure (null when there is a text), request,
--   quick_score, chosen (false for candidates that lost or wait), text_hash (null without a text),
--   no_pattern (whether the text says so), generation (the larger, the later it was written),
--   routed_for (the explainer whose LLM was not asked) and route (null where no route made it), in
--   order of the id.
select
    explanation_id,
    latent,
    selection,
    failure,
    request,
    quick_score,
    coalesce(chosen, true) as chosen,
    sha256(explanation) as text_hash,
    coalesce(no_pattern(explanation), false) as no_pattern,
    coalesce(generation, 0) as generation,
    if(route is null, null, explainer) as routed_for,
    route
from explanations
where run = $run and hookpoint = $hookpoint
order by explanation_id;

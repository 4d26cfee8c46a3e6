-- Which requests were made for a run, and what did they come to?
-- Parameters: $run, $paid (failures that are final and paid for, see llm/failures.py). Needs: the
--   view completions.
-- Columns: request (hash), answered (false for a failure that may be asked again), lost (whether the provider lost the
--   answer, see llm/failures.py), dollars (as far as prices are known), tokens (sent and received).
--   One row a request, in order.
select
    request,
    error is null or split_part(error, ':', 1) in (select unnest($paid)) as answered,
    coalesce(starts_with(error, 'lost'), false) as lost,
    -- Rows of earlier versions hold what servers said: NaN is larger than any number.
    if(cost > 0 and cost < 'infinity'::double, cost, 0) as dollars,
    greatest(coalesce(prompt_tokens, 0), 0) + greatest(coalesce(completion_tokens, 0), 0) as tokens
from completions
where run = $run
order by request;

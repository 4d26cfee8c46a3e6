-- Which requests were made for a run, and what did they come to?
-- Parameters: $run. Needs: the view completions.
-- Columns: request (hash), answered (false for a failure), lost (whether the provider lost the
--   answer, see llm/failures.py), dollars (as far as prices are known), tokens (sent and received).
--   One row a request, in order.
select
    request,
    error is null as answered,
    coalesce(starts_with(error, 'lost'), false) as lost,
    coalesce(cost, 0) as dollars,
    coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0) as tokens
from completions
where run = $run
order by request;

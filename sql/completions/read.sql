-- What were the answers to these requests?
-- Parameters: $run, $requests (list of hashes). Needs: the view completions.
-- Columns: those of the table completions without run and messages, one row an answered
--   request.
select
    request,
    role,
    model,
    answer,
    logprobs,
    finish_reason,
    prompt_tokens,
    cached_tokens,
    completion_tokens,
    cost,
    latency,
    attempts,
    error,
    written_at
from completions
where
    run = $run
    and error is null
    and request in (select unnest($requests))
order by request;

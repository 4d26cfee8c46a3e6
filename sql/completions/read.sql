-- What were the answers to these requests, or the failures that are final?
-- Parameters: $run, $requests (list of hashes), $paid (failures that are final and paid for, see
--   llm/failures.py). Needs: the view completions.
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
    and (error is null or split_part(error, ':', 1) in (select unnest($paid)))
    and request in (select unnest($requests))
order by request;

-- What have the LLM calls of a run come to, as time went on?
-- Parameters: $run, $n_points (most points in time shown for a model).
-- Columns: model, a point in time (until), and up to then: calls, tokens to and from the model, US dollars
--   (of the calls whose price is known), calls at an unknown price.
with span as (
    select
        min(written_at) as began,
        greatest(epoch(max(written_at)) - epoch(min(written_at)), 1) / $n_points as seconds
    from completions
    where run = $run
),

points as (
    select
        completions.model,
        least(
            floor((epoch(completions.written_at) - epoch(span.began)) / span.seconds), $n_points - 1
        ) as point,
        max(completions.written_at) as until,
        count(*) as n_calls,
        sum(
            coalesce(completions.prompt_tokens, 0) + coalesce(completions.completion_tokens, 0)
        ) as n_tokens,
        sum(coalesce(completions.cost, 0)) as cost,
        count(*) filter (completions.error is null and completions.cost is null) as n_unpriced
    from completions
    cross join span
    where completions.run = $run
    group by all
)

select
    model,
    until,
    (sum(n_calls) over so_far)::bigint as n_calls,
    (sum(n_tokens) over so_far)::bigint as n_tokens,
    sum(cost) over so_far as cost,
    (sum(n_unpriced) over so_far)::bigint as n_unpriced
from points
window so_far as (partition by model order by point rows unbounded preceding)
order by model, until;

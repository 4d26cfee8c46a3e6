-- What did explaining and scoring cost, per latent?
-- Parameters: $run, $hookpoint.
-- Columns: stage (explanation or prediction), method (explainer or scorer), model, latents, LLM
--   calls behind them, tokens, US dollars in total and per latent; n_failed counts the calls
--   without an answer, n_unpriced those answered at an unknown price, which the totals leave out.
with used as (
    select distinct
        'explanation' as stage,
        explainer as method,
        latent,
        request
    from explanations
    where run = $run and hookpoint = $hookpoint and request is not null
    union all
    select distinct
        'explanation' as stage,
        explainer as method,
        latent,
        quick_request as request
    from explanations
    where run = $run and hookpoint = $hookpoint and quick_request is not null
    union all
    select distinct
        'prediction' as stage,
        scorer as method,
        latent,
        request
    from predictions
    where run = $run and hookpoint = $hookpoint and request is not null
),

calls as (
    select
        stage,
        method,
        request
    from used
    group by all
),

explained as (
    select
        used.stage,
        used.method,
        completions.model,
        count(distinct used.latent) as n_latents
    from used
    inner join completions
        on used.request = completions.request
    where completions.run = $run
    group by all
),

paid as (
    select
        calls.stage,
        calls.method,
        completions.model,
        count(*) as n_calls,
        sum(completions.prompt_tokens)::bigint as prompt_tokens,
        sum(completions.completion_tokens)::bigint as completion_tokens,
        sum(completions.cost) as cost,
        count(*) filter (completions.error is not null) as n_failed,
        count(*) filter (
            completions.error is null and completions.cost is null
        ) as n_unpriced
    from calls
    inner join completions
        on calls.request = completions.request
    where completions.run = $run
    group by all
)

select
    paid.stage,
    paid.method,
    paid.model,
    explained.n_latents,
    paid.n_calls,
    paid.prompt_tokens,
    paid.completion_tokens,
    paid.cost,
    paid.cost / explained.n_latents as cost_per_latent,
    paid.n_failed,
    paid.n_unpriced
from paid
inner join explained
    on paid.stage = explained.stage
    and paid.method = explained.method
    and paid.model = explained.model
order by paid.stage, paid.method, paid.model;

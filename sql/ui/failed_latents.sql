-- Which latents have explanations or predictions that failed, and why?
-- Parameters: $run, $hookpoint, $stage (explanation or prediction), $n_shown (most latents named).
-- Columns: method (explainer or scorer), model, the reason, rows that failed for it, latents behind
--   them, and the first of these; the most frequent reason first.
with failed as (
    select
        'explanation' as stage,
        explainer as method,
        explainer_model as model,
        failure,
        latent
    from explanations
    where run = $run and hookpoint = $hookpoint and failure is not null
    union all
    select
        'prediction' as stage,
        scorer as method,
        judge as model,
        failure,
        latent
    from predictions
    where run = $run and hookpoint = $hookpoint and failure is not null
)

select
    method,
    model,
    failure,
    count(*) as n_failed,
    count(distinct latent) as n_latents,
    list_sort(list(distinct latent))[1:$n_shown] as first_latents
from failed
where stage = $stage
group by method, model, failure
order by n_failed desc, method, model, failure;

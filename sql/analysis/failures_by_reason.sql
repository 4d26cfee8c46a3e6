-- What failed, and why?
-- Parameters: $run, $hookpoint.
-- Columns: stage (explanation or prediction), method (explainer or scorer), model, the reason, rows
--   that failed for it, and their share of all rows of that stage, method and model.
with outcomes as (
    select
        'explanation' as stage,
        explainer as method,
        explainer_model as model,
        failure
    from explanations
    where run = $run and hookpoint = $hookpoint
    union all
    select
        'prediction' as stage,
        scorer as method,
        judge as model,
        failure
    from predictions
    where run = $run and hookpoint = $hookpoint
),

counted as (
    select
        stage,
        method,
        model,
        failure,
        count(*) as n_rows,
        count(*) / sum(count(*)) over (partition by stage, method, model) as share
    from outcomes
    group by stage, method, model, failure
)

select
    stage,
    method,
    model,
    failure,
    n_rows as n_failed,
    share as share_failed
from counted
where failure is not null
order by n_failed desc, stage, method, model, failure;

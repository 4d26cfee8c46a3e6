-- Which predictions judge an explanation or a window that is not there?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: what is missing (explanation or example), explanation_id, latent, selection, scorer,
--   judge, control, and the number of such predictions.
-- What is judged without an explanation has the explanation_id 'none', and none to look for.
-- An imported prediction (judge_hash 'delphi', where real ones have a hash) has no window to look
--   for: Delphi does not store where in the corpus its judged windows lie.
with of_hookpoint as (
    select *
    from predictions
    where run = $run and hookpoint = $hookpoint
),

without_explanation as (
    select
        'explanation' as missing,
        of_hookpoint.*
    from of_hookpoint
    anti join explanations
        on of_hookpoint.run = explanations.run
        and of_hookpoint.hookpoint = explanations.hookpoint
        and of_hookpoint.explanation_id = explanations.explanation_id
    where of_hookpoint.explanation_id <> 'none'
),

without_example as (
    select
        'example' as missing,
        of_hookpoint.*
    from of_hookpoint
    anti join examples
        on of_hookpoint.run = examples.run
        and of_hookpoint.hookpoint = examples.hookpoint
        and of_hookpoint.selection = examples.selection
        and of_hookpoint.latent = examples.latent
        and of_hookpoint.example = examples.example
    where of_hookpoint.judge_hash is distinct from 'delphi'
),

orphans as (
    select * from without_explanation
    union all
    select * from without_example
)

select
    missing,
    explanation_id,
    latent,
    selection,
    scorer,
    judge,
    control,
    count(*) as n_predictions
from orphans
group by all
order by all
limit $n_rows;

-- How many answers stand on the windows of a selection?
-- Needs: the views explanations and predictions.
-- Parameters: $run, $hookpoint, $selection.
-- Columns: n_answers, of explainers and of judges, failed ones too; one row.
with
explained as (
    select count(*) as n_answers
    from explanations
    where run = $run and hookpoint = $hookpoint and selection = $selection
),

judged as (
    select count(*) as n_answers
    from predictions
    where run = $run and hookpoint = $hookpoint and selection = $selection
)

select explained.n_answers + judged.n_answers as n_answers
from explained
cross join judged
order by n_answers;

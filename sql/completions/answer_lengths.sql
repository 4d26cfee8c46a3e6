-- How long are a model's answers, by who asks?
-- Parameters: $run, $model. Needs: the view completions.
-- Columns: role, completion_tokens (mean over answers), in order of role.
select
    role,
    avg(completion_tokens) as completion_tokens
from completions
where
    run = $run
    and model = $model
    and error is null
    and completion_tokens is not null
group by role
order by role;

-- Which LLM calls stand behind the explanations of some latents, and the answers about them?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the views explanations, predictions and completions.
-- Columns: latent, and those of the table completions that a reader wants; answers about controls
--   are left out. In order of latent, role and request.
with asked as (
    select latent, request
    from explanations
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
    union
    select latent, quick_request as request
    from explanations
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
    union
    select latent, request
    from predictions
    where
        run = $run
        and hookpoint = $hookpoint
        and latent >= $first
        and latent < $last
        and control = 'none'
)

select
    asked.latent,
    completions.request,
    completions.role,
    completions.model,
    completions.messages,
    completions.answer,
    completions.error,
    completions.finish_reason,
    completions.prompt_tokens,
    completions.completion_tokens,
    completions.cost,
    completions.latency
from asked
inner join completions
    on asked.request = completions.request
where completions.run = $run
order by asked.latent, completions.role, completions.request;

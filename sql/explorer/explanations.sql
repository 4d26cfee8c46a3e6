-- Which explanations do some latents have, failed ones and candidates that lost too?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the view explanations.
-- Columns: those of the table explanations, and shown: whether it stands for its set (selection,
--   explainer, explainer_model) in the list of latents: the last one that did not fail. In order of latent,
--   the last first.
select
    * exclude (run, hookpoint),
    coalesce(chosen, true)
    and lag(written_at) over (
        partition by latent, selection, explainer, explainer_model
        order by
            coalesce(chosen, true) desc,
            (failure is null) desc,
            coalesce(generation, 0) desc,
            written_at desc,
            explanation_id
    ) is null as shown
from explanations
where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
order by latent, coalesce(generation, 0) desc, written_at desc, explanation_id;

-- Which explanations do several latents share? A scorer cannot tell such latents apart.
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: explainer, explainer_model, the explanation, number of latents that have it, and which.
select
    explainer,
    explainer_model,
    explanation,
    count(distinct latent) as n_latents,
    list_sort(list(distinct latent)) as latents
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and explanation is not null
    and coalesce(chosen, true)
group by explainer, explainer_model, explanation
having count(distinct latent) > 1
order by n_latents desc, explainer, explainer_model, explanation
limit $n_rows;

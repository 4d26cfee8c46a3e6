-- What is known of each latent, and what is its best explanation?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open), and those of the macro
--   best_explanations: $scorer, $metric, $scorer_model, $selection, $explainer, $explainer_model.
-- Needs: the view latents, the macro best_explanations.
-- Columns: run, hookpoint, those of latents but for written_at, then of the best explanation (null
--   where there is none) explanation_id, selection, explainer, explainer_model, explanation, score
--   by $scorer and $metric, and n_explanations it was chosen from. In order of latent.
select
    latents.run,
    latents.hookpoint,
    latents.* exclude (run, hookpoint, written_at),
    best.explanation_id,
    best.selection,
    best.explainer,
    best.explainer_model,
    best.explanation,
    best.score,
    coalesce(best.n_explanations, 0) as n_explanations
from latents
left join
    best_explanations(
        $run,
        $hookpoint,
        $first,
        $last,
        $scorer,
        $metric,
        $scorer_model,
        $selection,
        $explainer,
        $explainer_model
    ) as best
    on latents.latent = best.latent
where
    latents.run = $run
    and latents.hookpoint = $hookpoint
    and latents.latent >= $first
    and latents.latent < $last
order by latents.latent;

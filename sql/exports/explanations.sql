-- What are the best explanations of some latents?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open), and those of the macro
--   best_explanations: $scorer, $metric, $scorer_model, $selection, $explainer, $explainer_model.
-- Needs: the macro best_explanations.
-- Columns: its columns, in order of latent.
select *
from
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
    )
order by latent;

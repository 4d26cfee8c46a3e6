-- What did Delphi's judge answer on some latents, by what imports have stored?
-- Parameters: $run, $hookpoint, $scorer, $first, $last (latents, half open).
-- Needs: the view predictions.
-- Columns: explanation_id, truth, prediction, probability, quantile, in order of explanation and
--   window.
select
    explanation_id,
    truth,
    prediction,
    probability,
    quantile
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and judge_hash = 'delphi'
    and scorer = $scorer
    and latent >= $first
    and latent < $last
order by explanation_id, example, variant;

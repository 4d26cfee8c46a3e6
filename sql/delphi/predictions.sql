-- What did scorers answer on the windows of some latents?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open); $model (the judge; null: every
--   one). Needs: the views predictions and examples.
-- Columns: latent, scorer, explanation_id, model, judge_hash, truth, prediction, probability,
--   quantile, str_tokens and activations of the window (null where the lake does not hold it, as
--   for imported predictions, whose judge_hash is 'delphi'), in order of latent, scorer,
--   explanation, judge and example.
select
    predictions.latent,
    predictions.scorer,
    predictions.explanation_id,
    predictions.model,
    predictions.judge_hash,
    predictions.truth,
    predictions.prediction,
    predictions.probability,
    predictions.quantile,
    examples.str_tokens,
    examples.activations
from predictions
left join examples
    on predictions.run = examples.run
    and predictions.hookpoint = examples.hookpoint
    and predictions.selection = examples.selection
    and predictions.latent = examples.latent
    and predictions.example = examples.example
    and predictions.judge_hash is distinct from 'delphi'
where
    predictions.run = $run
    and predictions.hookpoint = $hookpoint
    and predictions.latent >= $first
    and predictions.latent < $last
    and predictions.control = 'none'
    and ($model::varchar is null or predictions.model = $model::varchar)
order by
    predictions.latent,
    predictions.scorer,
    predictions.explanation_id,
    predictions.model,
    predictions.judge_hash,
    predictions.example,
    predictions.variant;

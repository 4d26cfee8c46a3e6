-- Do explanations describe strong activations only?
-- Parameters: $run, $hookpoint.
-- Columns: explainer, scorer, judge and how it was asked (judge_hash), truth, rank bin of the
--   window (0 the strongest; null when the latent is silent in it), answers, failures, share of
--   right answers, mean probability of true.
select
    explanations.explainer,
    explanations.model as explainer_model,
    predictions.scorer,
    predictions.model as judge,
    predictions.judge_hash,
    predictions.truth,
    predictions.quantile,
    count(predictions.prediction) as n_answers,
    count(predictions.failure) as n_failed,
    avg((predictions.prediction = predictions.truth)::int) as share_right,
    avg(predictions.probability) as mean_probability
from predictions
inner join explanations
    on predictions.explanation_id = explanations.explanation_id
where
    predictions.run = $run
    and predictions.hookpoint = $hookpoint
    and predictions.control = 'none'
group by
    explanations.explainer,
    explanations.model,
    predictions.scorer,
    predictions.model,
    predictions.judge_hash,
    predictions.truth,
    predictions.quantile
order by
    explanations.explainer,
    explanations.model,
    predictions.scorer,
    predictions.model,
    predictions.judge_hash,
    predictions.truth desc,
    predictions.quantile nulls last;

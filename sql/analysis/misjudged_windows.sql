-- On which windows does an explanation mislead the judge?
-- Parameters: $explanation_id.
-- Columns: scorer, judge, example, what it is (truth) and was taken for (prediction), probability,
--   rank bin, the window as text with <<tokens on which the latent fires>>. Surest mistakes first.
select
    predictions.scorer,
    predictions.judge,
    predictions.example,
    predictions.variant,
    predictions.truth,
    predictions.prediction,
    predictions.probability,
    predictions.quantile,
    array_to_string(
        list_transform(
            list_zip(examples.str_tokens, examples.activations),
            lambda token: case
                when token[2] > 0 then '<<' || token[1] || '>>'
                else token[1]
            end
        ),
        ''
    ) as window_text
from predictions
inner join examples
    on predictions.run = examples.run
    and predictions.hookpoint = examples.hookpoint
    and predictions.selection = examples.selection
    and predictions.latent = examples.latent
    and predictions.example = examples.example
where
    predictions.explanation_id = $explanation_id
    and predictions.control = 'none'
    and predictions.prediction <> predictions.truth
order by
    abs(predictions.probability - 0.5) desc nulls last,
    predictions.scorer,
    predictions.judge,
    predictions.judge_hash,
    predictions.example,
    predictions.variant;

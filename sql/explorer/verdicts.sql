-- What did each scorer answer on the windows of some latents, given their own explanations?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the view predictions.
-- Columns: latent, explanation_id (none: judged without one), selection, scorer, judge, judge_hash;
--   lists with an entry an answer: examples, variants, truths, predictions, probabilities, values,
--   failures; and requests, the distinct LLM calls behind them.
select
    latent,
    explanation_id,
    selection,
    scorer,
    judge,
    judge_hash,
    list(example order by example, variant) as examples,
    list(variant order by example, variant) as variants,
    list(truth order by example, variant) as truths,
    list(prediction order by example, variant) as predictions,
    list(probability order by example, variant) as probabilities,
    list("value" order by example, variant) as "values",
    list(failure order by example, variant) as failures,
    list_sort(list(distinct request) filter (request is not null)) as requests
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and latent >= $first
    and latent < $last
    and control = 'none'
group by latent, explanation_id, selection, scorer, judge, judge_hash
order by latent, scorer, judge, judge_hash, selection, explanation_id;

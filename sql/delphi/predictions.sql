-- What did scorers answer on the windows of some latents?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open); $judge (null: every
--   one). Needs: the views predictions and examples.
-- Columns: latent, scorer, explanation_id, judge, truth, prediction, probability, quantile,
--   str_tokens and activations of the window (null where the lake does not hold it, as for imported
--   predictions, whose judge_hash is 'delphi'), in order of latent, scorer, explanation, judge and
--   example: of several ways to ask one judge (judge_hash) the one that answered last.
with asked_last as (
    select *
    from predictions
    where
        run = $run
        and hookpoint = $hookpoint
        and latent >= $first
        and latent < $last
        and control = 'none'
        and ($judge::varchar is null or judge = $judge::varchar)
    qualify judge_hash = first_value(judge_hash) over (
        partition by latent, scorer, explanation_id, judge
        order by coalesce(generation, 0) desc, written_at desc, judge_hash
    )
)

select
    asked_last.latent,
    asked_last.scorer,
    asked_last.explanation_id,
    asked_last.judge,
    asked_last.truth,
    asked_last.prediction,
    asked_last.probability,
    asked_last.quantile,
    examples.str_tokens,
    examples.activations
from asked_last
left join examples
    on asked_last.run = examples.run
    and asked_last.hookpoint = examples.hookpoint
    and asked_last.selection = examples.selection
    and asked_last.latent = examples.latent
    and asked_last.example = examples.example
    and asked_last.judge_hash is distinct from 'delphi'
order by
    asked_last.latent,
    asked_last.scorer,
    asked_last.explanation_id,
    asked_last.judge,
    asked_last.example,
    asked_last.variant;

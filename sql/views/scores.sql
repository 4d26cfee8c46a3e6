-- How good is each explanation? One row per explanation, scorer, judge, way it was asked
--   (judge_hash) and control.
-- Needs: set variable lake = '<folder or URL>', and the view predictions.
-- Columns: confusion counts over the answered examples, n_failed apart; precision, recall, f1,
--   accuracy, balanced_accuracy (mean of recall and specificity); auc (Mann-Whitney: how often a
--   true example gets the higher probability, ties half; null unless every answer has one). A rate
--   whose denominator is zero is null; f1 is null without true examples and predictions.
create or replace view scores as
with ranked as (
    select
        *,
        rank() over (
            partition by
                run, hookpoint, latent, explanation_id, selection, scorer, model,
                judge_hash, control, failure is null
            order by probability
        ) as rank_of_first_tie,
        count(*) over (
            partition by
                run, hookpoint, latent, explanation_id, selection, scorer, model,
                judge_hash, control, failure is null, probability
        ) as n_tied
    from predictions
),

counted as (
    select
        run,
        hookpoint,
        latent,
        explanation_id,
        selection,
        scorer,
        model,
        judge_hash,
        control,
        count(*) as n_examples,
        count(*) filter (failure is not null) as n_failed,
        count(*) filter (failure is null and truth) as n_true,
        count(*) filter (failure is null and not truth) as n_false,
        count(*) filter (failure is null and truth and prediction) as true_positives,
        count(*) filter (failure is null and not truth and prediction) as false_positives,
        count(*) filter (failure is null and not truth and not prediction) as true_negatives,
        count(*) filter (failure is null and truth and not prediction) as false_negatives,
        count(*) filter (failure is null and probability is null) as n_without_probability,
        sum(rank_of_first_tie + (n_tied - 1) / 2) filter (failure is null and truth) as rank_sum
    from ranked
    group by all
)

select
    run,
    hookpoint,
    latent,
    explanation_id,
    selection,
    scorer,
    model,
    judge_hash,
    control,
    n_examples,
    n_failed,
    true_positives,
    false_positives,
    true_negatives,
    false_negatives,
    true_positives / nullif(true_positives + false_positives, 0) as precision,
    true_positives / nullif(n_true, 0) as recall,
    2 * true_positives
    / nullif(2 * true_positives + false_positives + false_negatives, 0) as f1,
    (true_positives + true_negatives) / nullif(n_true + n_false, 0) as accuracy,
    (true_positives / nullif(n_true, 0) + true_negatives / nullif(n_false, 0))
    / 2 as balanced_accuracy,
    case
        when n_without_probability = 0
            then (rank_sum - n_true * (n_true + 1) / 2) / nullif(n_true * n_false, 0)
    end as auc
from counted;

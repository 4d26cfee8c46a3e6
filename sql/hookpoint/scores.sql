-- How well do explanations predict a latent, its own and shuffled ones?
-- Needs: the view kept_scores.
-- Parameters: $run, $hookpoint, $latent.
-- Columns: those of `hookpoint.Score`.
select
    explanation_id,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    n_examples,
    n_failed,
    precision,
    recall,
    f1,
    accuracy,
    balanced_accuracy,
    mass_explained,
    auroc
from kept_scores
where run = $run and hookpoint = $hookpoint and latent = $latent
order by control, scorer, judge, selection, explanation_id, judge_hash;

-- How do the scores of several selections compare, for example of random and of semantic negatives?
-- Parameters: $run, $hookpoint, $selection (the one that the others are compared with).
-- Columns: explainer, scorer, judge, how it was asked (judge_hash), control, the selection; the
--   latents scored there with means of balanced accuracy and AUC; and over the latents scored under
--   $selection too (n_shared) by how much their means are above those of $selection.
with by_latent as (
    select
        explanations.explainer,
        explanations.model as explainer_model,
        scores.scorer,
        scores.model as judge,
        scores.judge_hash,
        scores.control,
        scores.selection,
        scores.latent,
        avg(scores.balanced_accuracy) as balanced_accuracy,
        avg(scores.auc) as auc
    from scores
    inner join explanations
        on scores.explanation_id = explanations.explanation_id
    where scores.run = $run and scores.hookpoint = $hookpoint
    group by all
),

compared as (
    select
        by_latent.*,
        others.latent is not null as shared,
        by_latent.balanced_accuracy - others.balanced_accuracy as gained_balanced_accuracy,
        by_latent.auc - others.auc as gained_auc
    from by_latent
    left join by_latent as others
        on others.selection = $selection
        and by_latent.explainer = others.explainer
        and by_latent.explainer_model = others.explainer_model
        and by_latent.scorer = others.scorer
        and by_latent.judge = others.judge
        and by_latent.judge_hash = others.judge_hash
        and by_latent.control = others.control
        and by_latent.latent = others.latent
)

select
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    control,
    selection,
    count(*) as n_latents,
    avg(balanced_accuracy) as balanced_accuracy,
    avg(auc) as auc,
    count(*) filter (shared) as n_shared,
    avg(gained_balanced_accuracy) as gained_balanced_accuracy,
    avg(gained_auc) as gained_auc
from compared
group by
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    control,
    selection
order by
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    control,
    selection;

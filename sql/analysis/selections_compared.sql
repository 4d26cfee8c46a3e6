-- How do the scores of several selections compare, for example of random and of semantic negatives?
-- Parameters: $run, $hookpoint, $selection (the one that the others are compared with).
-- Columns: explainer ('none' where none was asked), scorer, judge, how it was asked (judge_hash),
--   control, the selection; the latents scored there with means of balanced accuracy and AUROC; and
--   over the latents scored under $selection too (n_shared) by how much their means are above those
--   of $selection.
with by_latent as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.model, 'none') as explainer_model,
        scores.scorer,
        scores.model as judge,
        scores.judge_hash,
        scores.control,
        scores.selection,
        scores.latent,
        avg(scores.balanced_accuracy) as balanced_accuracy,
        avg(scores.auroc) as auroc
    from scores
    left join explanations
        on scores.run = explanations.run
        and scores.hookpoint = explanations.hookpoint
        and scores.explanation_id = explanations.explanation_id
    where scores.run = $run and scores.hookpoint = $hookpoint
    group by all
),

compared as (
    select
        by_latent.*,
        others.latent is not null as shared,
        by_latent.balanced_accuracy - others.balanced_accuracy as gained_balanced_accuracy,
        by_latent.auroc - others.auroc as gained_auroc
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
    avg(auroc) as auroc,
    count(*) filter (shared) as n_shared,
    avg(gained_balanced_accuracy) as gained_balanced_accuracy,
    avg(gained_auroc) as gained_auroc
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

-- What does each explainer get for each latent, metric by metric?
-- Parameters: of_run, of_hookpoint.
-- Needs: the views kept_scores and explanations.
-- Columns: explainer ('none' where no explanation was judged), selection, scorer, judge and how it
--   was asked (judge_hash), control, metric, latent, score (the mean of its explanations by this
--   explainer; null where all of them leave the metric undefined), constant (of a correlation:
--   whether the judge expected the same activation everywhere, for one of them at least), answers
--   asked for (n_examples), and of these failed (n_failed).
create or replace macro scores_of_latents(of_run, of_hookpoint) as table
with judged as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.explainer_model, 'none') as explainer_model,
        kept_scores.judge,
        kept_scores.* exclude (run, hookpoint, judge)
    from kept_scores
    left join explanations
        on kept_scores.run = explanations.run
        and kept_scores.hookpoint = explanations.hookpoint
        and kept_scores.explanation_id = explanations.explanation_id
    where kept_scores.run = of_run and kept_scores.hookpoint = of_hookpoint
),

metrics as (
    from judged
    unpivot include nulls (
        score for metric in (
            precision,
            recall,
            specificity,
            f1,
            accuracy,
            balanced_accuracy,
            mass_found,
            mass_explained,
            auroc,
            auprc,
            correlation
        )
    )
)

select
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    metric,
    latent,
    avg(score) as score,
    coalesce(bool_or(metric = 'correlation' and constant_simulation), false) as constant,
    sum(n_examples)::bigint as n_examples,
    sum(n_failed)::bigint as n_failed
from metrics
group by all;

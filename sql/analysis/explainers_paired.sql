-- By how much do one explainer's texts score higher than another's, on the latents that both explained?
-- Parameters: $run, $hookpoint, $explainer, $explainer_model, $other_explainer,
--   $other_explainer_model.
-- Columns: selection, scorer, judge and how it was asked (judge_hash), metric (how the scorer is to be
--   read, mass_explained and auroc), latents that both were scored on, both means (own, other), the mean difference
--   and its 95% interval (Student's, of the differences by latent, as if no two latents shared a
--   document; null with fewer than three).
with own_explanations as (
    select *
    from scores_of_latents($run, $hookpoint)
    where
        control = 'none'
        and score is not null
        and metric in (coalesce(metric_of(scorer), 'balanced_accuracy'), 'mass_explained', 'auroc')
),

paired as (
    select
        one.selection,
        one.scorer,
        one.judge,
        one.judge_hash,
        one.metric,
        one.score as own,
        two.score as other,
        one.score - two.score as difference
    from own_explanations as one
    inner join own_explanations as two
        on one.selection = two.selection
        and one.scorer = two.scorer
        and one.judge = two.judge
        and one.judge_hash = two.judge_hash
        and one.metric = two.metric
        and one.latent = two.latent
    where
        one.explainer = $explainer
        and one.explainer_model = $explainer_model
        and two.explainer = $other_explainer
        and two.explainer_model = $other_explainer_model
),

means as (
    select
        selection,
        scorer,
        judge,
        judge_hash,
        metric,
        count(*) as n_latents,
        avg(own) as own,
        avg(other) as other,
        avg(difference) as difference,
        student95(count(*) - 1) * stddev_samp(difference) / sqrt(count(*)) as half
    from paired
    group by selection, scorer, judge, judge_hash, metric
)

select
    * exclude (half),
    difference - half as difference_low,
    difference + half as difference_high
from means
order by selection, scorer, judge, judge_hash, metric;

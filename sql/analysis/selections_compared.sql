-- How do the scores of several selections compare, for example of random and of semantic negatives?
-- Parameters: $run, $hookpoint, $selection (the one that the others are compared with).
-- Columns: explainer ('none' where none was asked), scorer, judge, how it was asked (judge_hash),
--   control, metric, the selection; the latents scored there for which the metric is defined, and
--   its mean over them; and over the latents scored under $selection too (n_shared) by how much its
--   mean is above that of $selection (gained), with a 95% interval (Student's, of the differences
--   paired by latent; null with fewer than three).
-- Of scorers that pick one of several, the metric to look at is accuracy.
-- The interval is of latents drawn at random, and takes the corpus as fixed: that latents are judged
--   on windows of the same documents is not counted, as it is in hookpoint_scores.
with defined as (
    select *
    from scores_of_latents($run, $hookpoint)
    where score is not null
),

compared as (
    select
        defined.*,
        defined.score - others.score as gained
    from defined
    left join defined as others
        on others.selection = $selection
        and defined.explainer = others.explainer
        and defined.explainer_model = others.explainer_model
        and defined.scorer = others.scorer
        and defined.judge = others.judge
        and defined.judge_hash = others.judge_hash
        and defined.control = others.control
        and defined.metric = others.metric
        and defined.latent = others.latent
),

means as (
    select
        explainer,
        explainer_model,
        scorer,
        judge,
        judge_hash,
        control,
        metric,
        selection,
        count(*) as n_latents,
        avg(score) as mean,
        count(gained) as n_shared,
        avg(gained) as gained,
        student95(n_shared - 1) * stddev_samp(compared.gained) / sqrt(n_shared) as half
    from compared
    group by all
)

select
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    control,
    metric,
    selection,
    n_latents,
    mean,
    n_shared,
    gained,
    gained - half as gained_low,
    gained + half as gained_high
from means
order by
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    control,
    metric,
    selection;

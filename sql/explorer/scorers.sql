-- How good are explanations on the whole by every scorer, against its floors?
-- Needs: the table latent_scores (rows of `analysis/latent_scores.sql`).
-- Columns: selection, explainer, explainer_model, scorer, judge, judge_hash, metric; scored
--   explanations; answers that failed; own, the mean, and its quartiles; means of the floors; chance
--   (where one of several is picked) and of mass_explained; above_shuffled, the mean of own minus shuffled where both are
--   there, with a 95% interval (Student's; null with fewer than three). In order of the first six.
-- The interval is of latents drawn at random, and takes the corpus as fixed: for one of other
--   documents too see own_against_floors.
with compared as (
    select
        *,
        own - shuffled as above_shuffled
    from latent_scores
),

means as (
    select
        selection,
        explainer,
        explainer_model,
        scorer,
        judge,
        judge_hash,
        metric,
        count(own) as n_scores,
        sum(n_failed)::bigint as n_failed,
        avg(own) as own,
        quantile_cont(own, 0.25) as lower_quartile,
        median(own) as median_own,
        quantile_cont(own, 0.75) as upper_quartile,
        avg(shuffled) as shuffled,
        avg(empty) as empty,
        avg(lexical) as lexical,
        avg(chance) as chance,
        avg(mass_explained) as mass_explained,
        avg(above_shuffled) as above_shuffled,
        student95(count(above_shuffled) - 1)
        * stddev_samp(above_shuffled) / sqrt(count(above_shuffled)) as half
    from compared
    group by selection, explainer, explainer_model, scorer, judge, judge_hash, metric
)

select
    * exclude (half),
    above_shuffled - half as above_shuffled_low,
    above_shuffled + half as above_shuffled_high
from means
order by selection, explainer, explainer_model, scorer, judge, judge_hash;

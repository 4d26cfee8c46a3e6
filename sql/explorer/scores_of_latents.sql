-- How good is each explanation of some latents by every scorer, against its floors?
-- Parameters: $first, $last (latents first <= latent < last).
-- Needs: the tables latent_scores (rows of `analysis/latent_scores.sql`) and kept_scores (see
--   `kept/scores_here.sql`).
-- Columns: those of latent_scores without the explanation's text, and the other rates of the own
--   explanation. In order of latent, scorer, judge.
select
    latent_scores.* exclude (explanation),
    kept_scores.precision,
    kept_scores.recall,
    kept_scores.f1,
    kept_scores.accuracy,
    kept_scores.balanced_accuracy,
    kept_scores.auroc
from latent_scores
inner join kept_scores
    on latent_scores.latent = kept_scores.latent
    and latent_scores.explanation_id = kept_scores.explanation_id
    and latent_scores.selection = kept_scores.selection
    and latent_scores.scorer = kept_scores.scorer
    and latent_scores.judge = kept_scores.judge
    and latent_scores.judge_hash = kept_scores.judge_hash
    and kept_scores.control = 'none'
where latent_scores.latent >= $first and latent_scores.latent < $last
order by
    latent_scores.latent,
    latent_scores.scorer,
    latent_scores.judge,
    latent_scores.judge_hash,
    latent_scores.selection,
    latent_scores.explanation_id;

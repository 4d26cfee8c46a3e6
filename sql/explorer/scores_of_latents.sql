-- How good is each explanation of some latents by every scorer, against its floors?
-- Parameters: $first, $last (latents first <= latent < last).
-- Needs: the tables latent_scores (rows of `analysis/latent_scores.sql`) and scores (see
--   `kept/scores.sql`).
-- Columns: those of latent_scores without the explanation's text, and the other rates of the own
--   explanation. In order of latent, scorer, judge.
select
    latent_scores.* exclude (explanation),
    scores.precision,
    scores.recall,
    scores.f1,
    scores.accuracy,
    scores.balanced_accuracy,
    scores.auroc
from latent_scores
inner join scores
    on latent_scores.latent = scores.latent
    and latent_scores.explanation_id = scores.explanation_id
    and latent_scores.selection = scores.selection
    and latent_scores.scorer = scores.scorer
    and latent_scores.judge = scores.judge
    and latent_scores.judge_hash = scores.judge_hash
    and scores.control = 'none'
where latent_scores.latent >= $first and latent_scores.latent < $last
order by
    latent_scores.latent,
    latent_scores.scorer,
    latent_scores.judge,
    latent_scores.judge_hash,
    latent_scores.selection,
    latent_scores.explanation_id;

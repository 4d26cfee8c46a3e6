-- How good is each explanation of some latents by every scorer, against its floors?
-- Parameters: $first, $last (latents first <= latent < last).
-- Needs: the tables latent_scores (rows of `analysis/latent_scores.sql`) and judged.
-- Columns: those of latent_scores without the explanation's text, and the other rates of the own
--   explanation. In order of latent, scorer, judge.
select
    latent_scores.* exclude (explanation),
    judged.precision,
    judged.recall,
    judged.f1,
    judged.accuracy,
    judged.balanced_accuracy,
    judged.auroc
from latent_scores
inner join judged
    on latent_scores.latent = judged.latent
    and latent_scores.explanation_id = judged.explanation_id
    and latent_scores.selection = judged.selection
    and latent_scores.scorer = judged.scorer
    and latent_scores.judge = judged.model
    and latent_scores.judge_hash = judged.judge_hash
    and judged.control = 'none'
where latent_scores.latent >= $first and latent_scores.latent < $last
order by
    latent_scores.latent,
    latent_scores.scorer,
    latent_scores.judge,
    latent_scores.judge_hash,
    latent_scores.selection,
    latent_scores.explanation_id;

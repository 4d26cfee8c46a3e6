-- Do explanations predict their own latent better than another latent's explanation does?
-- Parameters: $run, $hookpoint, $most_tokens (only latents with 80% of their activation mass on
--   this many distinct tokens or fewer; null is all).
-- Columns: explainer, scorer, judge, how it was asked (judge_hash), selection, latents scored, then
--   means of balanced accuracy and AUC over the own and over the shuffled explanations (null where
--   none was judged), and the answers that failed.
select
    explanations.explainer,
    explanations.model as explainer_model,
    scores.scorer,
    scores.model as judge,
    scores.judge_hash,
    scores.selection,
    count(distinct scores.latent) filter (scores.control = 'none') as n_latents,
    avg(scores.balanced_accuracy) filter (scores.control = 'none') as own_balanced_accuracy,
    avg(scores.balanced_accuracy) filter (
        scores.control = 'shuffled'
    ) as shuffled_balanced_accuracy,
    avg(scores.auc) filter (scores.control = 'none') as own_auc,
    avg(scores.auc) filter (scores.control = 'shuffled') as shuffled_auc,
    sum(scores.n_failed)::bigint as n_failed
from scores
inner join explanations
    on scores.explanation_id = explanations.explanation_id
inner join latents
    on scores.run = latents.run
    and scores.hookpoint = latents.hookpoint
    and scores.latent = latents.latent
where
    scores.run = $run
    and scores.hookpoint = $hookpoint
    and latents.n_tokens_80 <= coalesce($most_tokens, latents.n_tokens_80)
group by
    explanations.explainer,
    explanations.model,
    scores.scorer,
    scores.model,
    scores.judge_hash,
    scores.selection
order by
    explanations.explainer,
    explanations.model,
    scores.scorer,
    scores.model,
    scores.judge_hash,
    scores.selection;

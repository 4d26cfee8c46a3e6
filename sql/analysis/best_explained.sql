-- Which explanations predict their latent best?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as
--   detection), $n_rows (most rows shown).
-- Columns: latent, its score by that scorer, its explanation, and what is known of the latent.
select
    scores.latent,
    scores.balanced_accuracy,
    scores.auroc,
    scores.f1,
    scores.judge,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation,
    latents.top_tokens[1] as top_token,
    latents.top_token_shares[1] as top_token_share,
    latents.n_tokens_80,
    latents.n_activations,
    latents.token_density,
    latents.max_activation,
    scores.selection,
    scores.explanation_id
from scores
inner join explanations
    on scores.run = explanations.run
    and scores.hookpoint = explanations.hookpoint
    and scores.explanation_id = explanations.explanation_id
inner join latents
    on scores.run = latents.run
    and scores.hookpoint = latents.hookpoint
    and scores.latent = latents.latent
where
    scores.run = $run
    and scores.hookpoint = $hookpoint
    and scores.scorer = $scorer
    and scores.control = 'none'
    and scores.balanced_accuracy is not null
order by
    scores.balanced_accuracy desc,
    scores.auroc desc nulls last,
    scores.latent,
    scores.explanation_id,
    scores.selection,
    scores.judge,
    scores.judge_hash
limit $n_rows;

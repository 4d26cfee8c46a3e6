-- Which explanations predict their latent worst?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as
--   detection), $n_rows (most rows shown).
-- Columns: latent, its score by that scorer, its explanation, and what is known of the latent.
select
    latent,
    balanced_accuracy,
    auroc,
    f1,
    judge,
    explainer,
    explainer_model,
    explanation,
    top_tokens[1] as top_token,
    top_token_shares[1] as top_token_share,
    n_tokens_80,
    n_activations,
    token_density,
    max_activation,
    selection,
    explanation_id
from scored_latents
where
    run = $run
    and hookpoint = $hookpoint
    and scorer = $scorer
    and explanation is not null
    and balanced_accuracy is not null
order by
    balanced_accuracy asc,
    auroc asc nulls last,
    latent,
    explanation_id,
    selection,
    judge,
    judge_hash
limit $n_rows;

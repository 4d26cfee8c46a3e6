-- Which latents are explained well by tokens alone?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection), $n_rows (most
--   rows shown).
-- Columns: latent, distinct tokens that carry 80% of its mass, its strongest tokens, the score of
--   the explanation that counting gives, judged by counting, with its 95% interval (balanced
--   accuracy); then the best score that an LLM's explanation of it got, by which judge, what it
--   gained over counting, its text, and how well that text's sentence embedding ranks the windows
--   (AUROC of the scorer `embedding`). Null where there is none. Those that counting explains best
--   come first: there, an LLM's score says little about understanding.
with judged as (
    select *
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer in ($scorer, 'embedding')
        and explanation is not null
),

counted as (
    select *
    from judged
    where
        scorer = $scorer
        and explainer = 'lexical'
        and judge = 'lexical'
        and balanced_accuracy is not null
    qualify lag(explanation_id) over (
        partition by latent, selection
        order by balanced_accuracy desc, explanation_id, judge_hash
    ) is null
),

written as (
    select *
    from judged
    where scorer = $scorer and explainer <> 'lexical' and balanced_accuracy is not null
    qualify lag(explanation_id) over (
        partition by latent, selection
        order by balanced_accuracy desc, explanation_id, judge, judge_hash
    ) is null
),

embedded as (
    select
        latent,
        selection,
        explanation_id,
        max(auroc) as auroc
    from judged
    where scorer = 'embedding'
    group by all
)

select
    counted.latent,
    counted.selection,
    counted.n_tokens_80,
    counted.top_tokens[:3] as top_tokens,
    counted.balanced_accuracy as lexical,
    counted.low as lexical_low,
    counted.high as lexical_high,
    written.balanced_accuracy as llm,
    written.judge as llm_judge,
    written.balanced_accuracy - counted.balanced_accuracy as gained,
    written.explainer_model as llm_model,
    written.explanation as llm_explanation,
    embedded.auroc as embedding_auroc
from counted
left join written
    on counted.latent = written.latent
    and counted.selection = written.selection
left join embedded
    on written.latent = embedded.latent
    and written.selection = embedded.selection
    and written.explanation_id = embedded.explanation_id
order by lexical desc, lexical_low desc, counted.latent, counted.selection
limit $n_rows;

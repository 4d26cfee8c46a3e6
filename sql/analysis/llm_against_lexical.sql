-- Where does an LLM's explanation beat counting on the same latent, by the same judge?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection).
-- Columns: latent, judge, both explanations, both scores, and what the LLM gained. Only latents
--   that both explained and the judge, asked in the same way, scored on the same selection of
--   examples.
with scored as (
    select *
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer = $scorer
        and explanation is not null
        and balanced_accuracy is not null
)

select
    llm.latent,
    llm.judge,
    llm.explainer_model,
    llm.explanation as llm_explanation,
    lexical.explanation as lexical_explanation,
    llm.balanced_accuracy as llm_balanced_accuracy,
    lexical.balanced_accuracy as lexical_balanced_accuracy,
    llm.balanced_accuracy - lexical.balanced_accuracy as gained
from scored as llm
inner join scored as lexical
    on llm.latent = lexical.latent
    and llm.selection = lexical.selection
    and llm.judge = lexical.judge
    and llm.judge_hash = lexical.judge_hash
where llm.explainer <> 'lexical' and lexical.explainer = 'lexical'
order by
    gained desc,
    llm.latent,
    llm.judge,
    llm.judge_hash,
    llm.explanation_id,
    lexical.explanation_id;

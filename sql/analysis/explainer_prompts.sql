-- Which text stands behind each prompt_hash?
-- Parameters: $run, $hookpoint.
-- Columns: explainer, explainer_model, prompt_hash, explanations asked for with it, its instructions, and all
--   messages of the first of them as JSON: worked examples, then the latent's windows.
with asked as (
    select
        explanations.explainer,
        explanations.explainer_model,
        explanations.prompt_hash,
        count(distinct explanations.explanation_id) as n_explanations,
        min_by(completions.messages, (explanations.latent, explanations.explanation_id)) as messages
    from explanations
    inner join completions
        on explanations.run = completions.run
        and explanations.request = completions.request
    where explanations.run = $run and explanations.hookpoint = $hookpoint
    group by explanations.explainer, explanations.explainer_model, explanations.prompt_hash
)

select
    explainer,
    explainer_model,
    prompt_hash,
    n_explanations,
    json_extract_string(messages, '$[0].content') as instructions,
    messages
from asked
order by explainer, explainer_model, prompt_hash;

-- Which explanations by an LLM repeat a worked example of the shipped prompts?
-- Parameters: $run, $hookpoint, $worked (texts of the worked examples), $n_rows (most rows shown).
-- Columns: latent, explainer, explainer_model, explanation (that has the words of a worked example,
--   in any case and punctuation), echo (that example). Where a latent is of just that, it is no echo.
with worked as (
    select
        text,
        trim(regexp_replace(lower(text), '[^\pL\pN]+', ' ', 'g')) as words
    from (select unnest($worked::varchar[]) as text)
),

explained as (
    select
        latent,
        explainer,
        explainer_model,
        explanation,
        trim(regexp_replace(lower(explanation), '[^\pL\pN]+', ' ', 'g')) as words
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and explainer_model <> explainer
)

select
    explained.latent,
    explained.explainer,
    explained.explainer_model,
    explained.explanation,
    min(worked.text) as echo
from explained
inner join worked on contains(' ' || explained.words || ' ', ' ' || worked.words || ' ')
group by all
order by explained.latent, explained.explainer, explained.explainer_model, explained.explanation
limit $n_rows;

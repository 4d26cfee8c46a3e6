-- Which explanations by an LLM repeat a worked example of the shipped prompts?
-- Parameters: $run, $hookpoint, $worked (texts of the worked examples), $n_rows (most rows shown).
-- Columns: latent, explainer, explainer_model, explanation, echo (the example: six of its words in a
--   row are in the explanation, or it has fewer and is the explanation; in any case and
--   punctuation). Where a latent is of just that, it is no echo.
with worked as (
    select
        text,
        string_split(trim(regexp_replace(lower(text), '[^\pL\pN]+', ' ', 'g')), ' ') as words
    from (select unnest($worked::varchar[]) as text)
),

runs as (
    select
        text,
        len(words) < 6 as is_whole,
        unnest(
            list_transform(
                generate_series(1, greatest(len(words) - 5, 1)),
                lambda start: array_to_string(words[start : start + 5], ' ')
            )
        ) as words
    from worked
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
    min(runs.text) as echo
from explained
inner join runs
    on if(
        runs.is_whole,
        explained.words = runs.words,
        contains(' ' || explained.words || ' ', ' ' || runs.words || ' ')
    )
group by all
order by explained.latent, explained.explainer, explained.explainer_model, explained.explanation
limit $n_rows;

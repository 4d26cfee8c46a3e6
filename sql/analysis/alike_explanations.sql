-- Which latents have explanations of the same words, but for case, order and punctuation?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: explainer, explainer_model, one of the texts, how many different texts there are, number of latents
--   that have one of them, and which. Texts that are equal to the letter are in shared_explanations
--   too; texts of latents that are alike in what they fire on are in neighbours_alike.
with worded as (
    select
        explainer,
        explainer_model,
        latent,
        explanation,
        list_sort(
            list_distinct(regexp_extract_all(lower(explanation), '[\p{L}\p{N}]+'))
        ) as words
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
)

select
    explainer,
    explainer_model,
    min(explanation) as explanation,
    count(distinct explanation) as n_texts,
    count(distinct latent) as n_latents,
    list_sort(list(distinct latent)) as latents
from worded
where len(words) > 0
group by explainer, explainer_model, words
having count(distinct latent) > 1
order by n_latents desc, n_texts desc, explainer, explainer_model, explanation
limit $n_rows;

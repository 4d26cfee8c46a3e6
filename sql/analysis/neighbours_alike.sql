-- Which neighbours have nearly the same explanation?
-- Parameters: $run, $hookpoint, $n_rows (most rows shown).
-- Columns: two latents, of which one is among the ten nearest of the other, by which method and how
--   similar (the larger where they differ by direction), how alike their explanations are (words in
--   both / words in either, whatever their case: Jaccard), and both texts, by the same explainer
--   and explainer_model on the same selection, the last written of several. The most alike come first, of
--   these the most similar: split or duplicated features, or an explainer that says too little.
with texts as (
    select
        latent,
        selection,
        explainer,
        explainer_model,
        explanation,
        list_distinct(regexp_extract_all(lower(explanation), '[\p{L}\p{N}]+')) as words
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
    qualify lag(written_at) over (
        partition by latent, selection, explainer, explainer_model
        order by coalesce(generation, 0) desc, written_at desc, explanation_id
    ) is null
),

pairs as (
    select
        method,
        least(latent, neighbour) as latent,
        greatest(latent, neighbour) as neighbour,
        max(similarity) as similarity
    from neighbours
    where run = $run and hookpoint = $hookpoint and rank <= 10
    group by all
),

-- Materialized: DuckDB 2.0.0 expects one row, and would pair all texts with all others first.
described as materialized (
    select
        pairs.*,
        texts.selection,
        texts.explainer,
        texts.explainer_model,
        texts.explanation,
        texts.words
    from pairs
    inner join texts
        on pairs.latent = texts.latent
),

compared as (
    select
        described.*,
        texts.explanation as neighbour_explanation,
        len(list_intersect(described.words, texts.words)) as n_both,
        len(described.words) + len(texts.words) - n_both as n_either
    from described
    inner join texts
        on described.neighbour = texts.latent
        and described.selection = texts.selection
        and described.explainer = texts.explainer
        and described.explainer_model = texts.explainer_model
)

select
    latent,
    neighbour,
    method,
    similarity,
    n_both / nullif(n_either, 0) as words_alike,
    selection,
    explainer,
    explainer_model,
    explanation,
    neighbour_explanation
from compared
order by
    words_alike desc nulls last,
    similarity desc,
    latent,
    neighbour,
    method,
    selection,
    explainer,
    explainer_model
limit $n_rows;

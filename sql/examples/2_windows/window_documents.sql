-- Which documents stand in each aligned window of a run?
-- Parameters: $contexts (files of the table contexts), $cache_ctx_len, $example_ctx_len.
-- Makes the table window_documents: window (position // example_ctx_len), document (a number), and
--   the document's stretch of a context: first position, and the one after its last.
-- Equal ids are one document wherever they stand. No row where the corpus tells no documents.
create or replace table window_documents as
with pieces as (
    select
        context,
        unnest(document_ids) as document_id,
        unnest(document_starts) as start,
        unnest(list_append(document_starts[2:], $cache_ctx_len)) as stop
    from read_parquet($contexts, union_by_name = true)
),

stretches as (
    select
        dense_rank() over (order by document_id)::int as document,
        context::bigint * $cache_ctx_len + start as first,
        context::bigint * $cache_ctx_len + stop as after
    from pieces
    where start < stop
)

select
    unnest(range(first // $example_ctx_len, (after - 1) // $example_ctx_len + 1)) as "window",
    document,
    first,
    after
from stretches
order by "window", document;

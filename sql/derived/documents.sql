-- Which documents were read in each run, and how many of the tokens are theirs?
-- Needs: the view contexts.
-- Columns: see the table reference in README.md. A document goes on from one context to the next, and
--   a context holds several: tokens are counted from where a document begins in a context to where
--   the next one does. The first token of a context, where it is BOS, is in no document.
create or replace view documents as
with pieces as (
    select
        run,
        context,
        unnest(document_ids) as document,
        unnest(document_starts) as first,
        unnest(list_append(document_starts[2:], len(tokens))) as after
    from contexts
)

select
    run,
    document,
    count(distinct context) as contexts,
    sum(after - first)::bigint as tokens,
    null::varchar as source
from pieces
where document is not null
group by run, document;

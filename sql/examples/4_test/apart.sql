-- Which windows that train left over share no document with a train window of their latent?
-- Parameters: $example_ctx_len.
-- Needs: the temporary tables held_out and train_windows, the table window_documents, the temporary
--   macro documents_of.
-- Makes the temporary table apart: latent, place, quantile, draw.
-- Documents of train windows are few, windows that are left over many: so it is worked out which
-- aligned windows the few stand in, and each of the many looks up the one or two it reaches into.
create or replace temp table apart as
with train_documents as (
    select distinct
        latent,
        document
    from documents_of('train_windows', $example_ctx_len)
),

covered as (
    select
        latent,
        "window",
        first,
        after
    from train_documents
    inner join window_documents using (document)
)

select
    held_out.latent,
    held_out.place,
    held_out.quantile,
    held_out.draw
from held_out
anti join covered
    on held_out.latent = covered.latent
    and held_out.position // $example_ctx_len = covered."window"
    and held_out.position < covered.after
    and held_out.position + $example_ctx_len > covered.first
anti join covered as covered_next
    on held_out.latent = covered_next.latent
    and held_out.position // $example_ctx_len + 1 = covered_next."window"
    and held_out.position + $example_ctx_len > covered_next.first;

-- Which windows that train left over share no document with a train window of their latent?
-- Parameters: $example_ctx_len.
-- Needs: the temporary tables held_out and train_windows, the temporary macro documents_of.
-- Makes the temporary table apart: latent, place, quantile, draw.
create or replace temp table apart as
with train_documents as (
    select distinct
        latent,
        document
    from documents_of('train_windows', $example_ctx_len)
),

shared as (
    select
        latent,
        position
    from documents_of('held_out', $example_ctx_len)
    semi join train_documents using (latent, document)
)

select
    latent,
    place,
    quantile,
    draw
from held_out
anti join shared using (latent, position);

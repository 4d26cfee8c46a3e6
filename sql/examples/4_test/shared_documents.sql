-- What share of a latent's test windows stands in a document of its train windows?
-- Parameters: $example_ctx_len.
-- Needs: the temporary table train_windows, the temporary view test_windows, the table
--   window_documents, the temporary macro documents_of.
-- Makes the temporary table shared_documents: latent, shared_document_share (null where the corpus
--   tells no documents).
create or replace temp table shared_documents as
with train_documents as (
    select distinct
        latent,
        document
    from documents_of('train_windows', $example_ctx_len)
),

shared as (
    select distinct
        latent,
        position
    from documents_of('test_windows', $example_ctx_len)
    semi join train_documents using (latent, document)
)

select
    test_windows.latent,
    case
        when (select count(*) from window_documents) > 0
            then count(shared.position) / count(*)
    end as shared_document_share
from test_windows
left join shared using (latent, position)
group by test_windows.latent;

-- How much does each document move the scores of a hookpoint? The answer is kept on this connection.
-- Parameters: $run, $hookpoint.
-- Needs: what the macro document_influences needs.
-- Columns: run, hookpoint, and those of document_influences.
create or replace temp table kept_influences as
select
    $run::varchar as run,
    $hookpoint::varchar as hookpoint,
    *
from memory.main.document_influences($run, $hookpoint);

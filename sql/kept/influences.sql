-- From here on, take influences of documents from those kept on this connection.
-- Parameters of the macro: as of that of sql/scores/document_influences.sql, which this one hides.
-- Needs: the table of `kept/influences_of.sql`; no rows of another hookpoint than the one it is of.
-- Columns: those of sql/scores/document_influences.sql.
create or replace temp macro document_influences(of_run, of_hookpoint) as table
select * exclude (run, hookpoint)
from kept_influences
where run = of_run and hookpoint = of_hookpoint;

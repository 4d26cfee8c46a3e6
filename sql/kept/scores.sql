-- From here on, take scores from those kept on this connection.
-- Needs: the view scores, which this table hides; filled by `kept/scores_of.sql`.
-- Columns: those of the view scores.
create or replace temp table scores as
select *
from memory.main.scores
limit 0;

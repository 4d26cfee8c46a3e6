-- From here on, take scores from those kept on this connection.
-- Needs: the view kept_scores, which this table hides; filled by `kept/scores_of.sql`.
-- Columns: those of the view kept_scores.
create or replace temp table kept_scores as
select *
from memory.main.kept_scores
limit 0;

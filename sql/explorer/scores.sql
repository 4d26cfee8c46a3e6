-- From here on, take scores from those already computed for one hookpoint.
-- Needs: the table judged, filled by `explorer/judged.sql`.
-- Columns: those of the view scores, which this one hides from the connection.
create or replace temp view scores as
select *
from judged;

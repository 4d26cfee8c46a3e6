-- Which sources gave labels?
-- Needs: the view labels.
-- Columns: source, in order.
select distinct source
from labels
order by source;

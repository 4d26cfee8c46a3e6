-- Which requests of a run have an answer already?
-- Parameters: $run. Needs: the view completions.
-- Columns: request (hash), in order.
select request
from completions
where run = $run and error is null
order by request;

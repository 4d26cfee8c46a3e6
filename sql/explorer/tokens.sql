-- How many tokens does a run have?
-- Parameters: $run. Needs: the view vocabulary.
-- Columns: n_tokens, in the contexts; null without a vocabulary. One row.
select sum(count)::bigint as n_tokens
from vocabulary
where run = $run;

-- Which tokens of a run are special: BOS, EOS, padding and the like?
-- Parameters: $run. Needs: the view vocabulary.
-- Columns: str_token, in order; no rows without such tokens, or without a vocabulary.
select distinct str_token
from vocabulary
where run = $run and special
order by str_token;

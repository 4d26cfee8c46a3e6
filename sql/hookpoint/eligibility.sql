-- Can a latent be explained, by selection?
-- Parameters: $run, $hookpoint, $latent. Needs: the view eligibility.
-- Columns: selection, code, n_windows, min_examples, in order of selection.
select
    selection,
    code,
    n_windows,
    min_examples
from eligibility
where run = $run and hookpoint = $hookpoint and latent = $latent
order by selection;

-- Which aligned windows may represent a latent?
-- Parameters: $example_ctx_len, $n_tokens (positions of the run).
-- Needs: the temporary table firing_windows.
-- Makes the temporary table candidates: latent, position (first token), max_activation.
-- A window cut off by the end of the corpus is not whole and no candidate.
create or replace temp table candidates as
select
    latent,
    "window" * $example_ctx_len as position,
    max_activation
from firing_windows
where "window" < $n_tokens // $example_ctx_len
order by latent, position;

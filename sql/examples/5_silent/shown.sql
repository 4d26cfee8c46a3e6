-- Which whole aligned windows stand for the train and test windows of each latent?
-- Parameters: $example_ctx_len, $n_tokens (positions of the run).
-- Needs: the temporary table chosen.
-- Columns: latent, window (position // example_ctx_len): the aligned window itself, or the one that
--   holds the middle token of a centred window; at the end of the run the last whole one.
select
    latent,
    least(
        (position + $example_ctx_len // 2) // $example_ctx_len,
        $n_tokens // $example_ctx_len - 1
    ) as "window"
from chosen
order by latent, place;

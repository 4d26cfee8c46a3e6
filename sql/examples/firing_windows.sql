-- In which aligned windows does each latent of a bucket fire, and how strongly?
-- Parameters: $activations (files of one bucket), $example_ctx_len.
-- Makes the temporary table firing_windows: latent, window (position // example_ctx_len),
--   max_activation, peak (position of the strongest token, the first of several).
create or replace temp table firing_windows as
select
    latent,
    position // $example_ctx_len as "window",
    max(activation) as max_activation,
    arg_max(position, (activation, -position)) as peak
from read_parquet($activations)
group by latent, "window"
order by latent, "window";

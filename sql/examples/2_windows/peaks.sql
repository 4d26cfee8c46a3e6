-- In which aligned windows does each latent asked for fire, how strongly, and where most?
-- Parameters: $activations (files of one bucket), $latents (those asked for),
--   $example_ctx_len.
-- Makes the temporary table peaks: latent, position (first token of the window), max_activation,
--   peak (position of the strongest token, positive before negative, then the first of several).
create or replace temp table peaks as
select
    latent,
    position // $example_ctx_len * $example_ctx_len as position,
    if(max(activation) >= -min(activation), max(activation), min(activation)) as max_activation,
    arg_max(position, (abs(activation), activation, -position)) as peak
from read_parquet($activations, union_by_name = true)
where latent in (select unnest($latents))
group by latent, position // $example_ctx_len
order by latent, position;

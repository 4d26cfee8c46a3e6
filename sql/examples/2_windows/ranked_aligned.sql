-- Which aligned windows may represent a latent, the strongest first?
-- Parameters: $windows (file of the table windows, one bucket), $latents (those asked for).
-- Makes the temporary table ranked: latent, place, position (first token), max_activation.
create or replace temp table ranked as
select
    latent,
    place,
    position,
    max_activation
from read_parquet($windows, union_by_name = true)
where latent in (select unnest($latents));

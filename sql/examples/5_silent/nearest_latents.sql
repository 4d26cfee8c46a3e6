-- Which latents are most like each latent of the pool?
-- Parameters: $neighbours (file of the table neighbours, one method), $first, $last (latents).
-- Needs: the temporary table pool.
-- Columns: latent, neighbour, similarity; the nearest first.
select
    latent,
    neighbour,
    similarity
from read_parquet($neighbours, union_by_name = true)
semi join pool using (latent)
where latent between $first and $last
order by latent, "rank";

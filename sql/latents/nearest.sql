-- Which latent is most like each latent?
-- Parameters: $neighbours (files of the table neighbours, of one hookpoint and method).
-- Columns: latent, neighbour, similarity. A latent without a neighbour has no row.
select
    latent,
    neighbour,
    similarity
from read_parquet($neighbours, union_by_name = true)
where rank = 1
order by latent;

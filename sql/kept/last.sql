-- What is the greatest latent that there are answers about?
-- Parameters: $files (of the table predictions).
-- Columns: latent (-1 without answers); one row.
select coalesce(max(latent), -1) as latent
from read_parquet($files, union_by_name = true);

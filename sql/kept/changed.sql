-- About which latents are there answers in some files of predictions?
-- Parameters: $files (of the table predictions).
-- Columns: latent, in order.
select distinct latent
from read_parquet($files, union_by_name = true)
order by latent;

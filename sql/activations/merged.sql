-- What fired in a bucket of latents, over all token shards?
-- Parameters: $captured (files of all shards), $first, $last (the bucket's latents, half open).
-- Columns: those of the table activations.
-- Row groups of the files end where a bucket does, so little is read for another one. More than
-- memory holds is sorted on disk.
select
    latent,
    position,
    activation
from read_parquet($captured, union_by_name = true)
where latent >= $first and latent < $last
order by latent, position;

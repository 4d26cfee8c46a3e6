-- Every whole aligned window in which a latent fires; files are sorted by latent, then place.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view windows as
select *
from read_parquet(
    coalesce(
        getvariable('files').windows,
        [getvariable('lake') || '/window[s_]/*/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'example_ctx_len': int, 'bucket': int}
);

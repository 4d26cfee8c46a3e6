-- Every non-zero activation; files are sorted by latent, then position.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view activations as
select *
from read_parquet(
    coalesce(
        getvariable('files').activations,
        [getvariable('lake') || '/activation[s_]/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'bucket': int}
);

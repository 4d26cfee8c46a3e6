-- What planted latents are, and descriptions of them: true ones, and such that are wrong.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view planted as
select *
from read_parquet(
    coalesce(
        getvariable('files').planted,
        [getvariable('lake') || '/plante[d_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
);

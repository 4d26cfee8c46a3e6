-- The latents of a coder, seen from its weights.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view weights as
select *
from read_parquet(
    coalesce(
        getvariable('files').weights,
        [getvariable('lake') || '/weight[s_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
);

-- Latents that got fewer examples than asked for, and why.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view shortfalls as
select *
from read_parquet(
    coalesce(
        getvariable('files').shortfalls,
        [getvariable('lake') || '/shortfall[s_]/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'selection': varchar}
);

-- The windows shown to explainers and scorers.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view examples as
select *
from read_parquet(
    coalesce(
        getvariable('files').examples,
        [getvariable('lake') || '/example[s_]/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'selection': varchar}
);

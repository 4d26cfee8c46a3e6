-- The packed contexts that the model read.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view contexts as
select *
from read_parquet(
    coalesce(
        getvariable('files').contexts,
        [getvariable('lake') || '/context[s_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    hive_types = {'run': varchar, 'shard': int}
);

-- The tokens of a run with their text and count.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view vocabulary as
select *
from read_parquet(
    coalesce(
        getvariable('files').vocabulary,
        [getvariable('lake') || '/vocabular[y_]/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar}
);

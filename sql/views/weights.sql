-- The latents of a coder, seen from its weights.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view weights as
select *
from read_parquet(
    getvariable('lake') || '/weights/*/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
);

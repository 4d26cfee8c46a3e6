-- Latents that got fewer examples than asked for, and why.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view shortfalls as
select *
from read_parquet(
    getvariable('lake') || '/shortfalls/*/*/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'selection': varchar}
);

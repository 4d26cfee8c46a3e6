-- Whether the latents that selections ask for can be explained, and why not.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view eligibility as
select *
from read_parquet(
    coalesce(
        getvariable('files').eligibility,
        [getvariable('lake') || '/eligibilit[y_]/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'selection': varchar}
);

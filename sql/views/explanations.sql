-- The last outcome of every explanation, failures too.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view explanations as
select *
from read_parquet(
    getvariable('lake') || '/explanations/*/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
qualify row_number() over (
    partition by explanation_id
    order by written_at desc
) = 1;

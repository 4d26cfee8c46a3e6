-- The last outcome of every LLM call.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view completions as
select *
from read_parquet(
    getvariable('lake') || '/completions/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar}
)
qualify row_number() over (
    partition by run, request
    order by written_at desc
) = 1;

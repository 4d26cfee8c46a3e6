-- The outcome of every LLM call: its last answer, or its last failure if it never had one.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view completions as
select *
from read_parquet(
    coalesce(
        getvariable('files').completions,
        [getvariable('lake') || '/completion[s_]/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar}
)
qualify row_number() over (
    partition by run, request
    order by
        (error is null) desc,
        coalesce(generation, 0) desc,
        written_at desc,
        latency
) = 1;

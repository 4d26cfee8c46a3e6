-- The outcome of every LLM call: its last answer, or its last failure if it never had one.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
-- `lag(...) is null` keeps the first row, as `row_number() = 1` would; DuckDB 2.0.0 turns the
--   latter into a semi join of the files with themselves, and then loses rows when the view is
--   joined.
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
qualify lag(written_at) over (
    partition by run, request
    order by (error is null) desc, written_at desc
) is null;

-- The answer of every scorer on every example: the last one, or the last failure if there is none.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
-- `lag(...) is null` keeps the first row, as `row_number() = 1` would; DuckDB 2.0.0 turns the
--   latter into a semi join of the files with themselves, and then loses rows when the view is
--   joined.
create or replace view predictions as
select *
from read_parquet(
    coalesce(
        getvariable('files').predictions,
        [getvariable('lake') || '/prediction[s_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
qualify lag(written_at) over (
    partition by
        run,
        hookpoint,
        explanation_id,
        latent,
        selection,
        scorer,
        model,
        judge_hash,
        control,
        example,
        variant
    order by (failure is null) desc, written_at desc
) is null;

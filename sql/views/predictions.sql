-- The answer of every scorer on every example: the last one, or the last failure if there is none.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
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
qualify row_number() over (
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
    order by
        (failure is null) desc,
        coalesce(generation, 0) desc,
        written_at desc,
        request
) = 1;

-- The answer of every scorer on every example: the last one, or the last failure if there is none.
-- Parameters: of_files (of the table predictions, the one without rows first).
-- Columns: those of the table predictions. In files of version 4 and before, judge is called model.
create or replace macro latest_predictions(of_files) as table
with stored as (
    select * exclude (model) replace (coalesce(judge, model) as judge)
    from read_parquet(
        of_files,
        hive_partitioning = true,
        union_by_name = true,
        hive_types = {'run': varchar, 'hookpoint': varchar}
    )
)

select *
from stored
qualify row_number() over (
    partition by
        run,
        hookpoint,
        explanation_id,
        latent,
        selection,
        scorer,
        judge,
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

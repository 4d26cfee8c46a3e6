-- What judges make of planted latents: the last card of each, by how it was asked.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view judges as
select *
from read_parquet(
    coalesce(
        getvariable('files').judges,
        [getvariable('lake') || '/judge[s_]/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar}
)
qualify row_number() over (
    partition by run, planted_run, scorer, judge, judge_hash
    order by coalesce(generation, 0) desc, written_at desc, selection
) = 1;

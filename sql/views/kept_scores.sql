-- The scores that the stages have computed from predictions, and kept.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
-- A connection of the library computes those of hookpoints that are behind, see sql/kept/behind.sql.
create or replace view kept_scores as
select
    run,
    hookpoint,
    * exclude (run, hookpoint)
from read_parquet(
    coalesce(
        getvariable('files').kept_scores,
        [getvariable('lake') || '/kept_score[s_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
);

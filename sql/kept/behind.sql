-- From here on, compute the scores of hookpoints whose kept ones are behind their predictions.
-- Needs: the variables files (kept_scores, and behind: of predictions of these hookpoints) and behind
--   (a list of run and hookpoint), which `database.connect` sets; the macro computed_scores.
-- Columns: those of the table kept_scores.
create or replace view kept_scores as
select
    run,
    hookpoint,
    * exclude (run, hookpoint)
from read_parquet(
    getvariable('files').kept_scores,
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
where not list_contains(getvariable('behind'), {'run': run, 'hookpoint': hookpoint})
union all by name
select *
from computed_scores(getvariable('files').behind);

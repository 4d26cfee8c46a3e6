-- Which runs, hookpoints and selections does the lake hold?
-- Needs: set variable lake = '<folder or URL>'. Names of files are read, no rows.
-- Columns: run, hookpoint, selection (null but for examples), in that order. What no name can be,
--   the '_' of the empty files, is left out.
with files as (
    select file
    from glob(getvariable('lake') || '/activations/*/*/*/*.parquet')
    union all
    select file
    from glob(getvariable('lake') || '/latents/*/*/*.parquet')
    union all
    select file
    from glob(getvariable('lake') || '/examples/*/*/*/*.parquet')
    union all
    select file
    from glob(getvariable('lake') || '/explanations/*/*/*.parquet')
    union all
    select file
    from glob(getvariable('lake') || '/predictions/*/*/*.parquet')
),

places as (
    select distinct
        url_decode(regexp_extract(file, '/run=([^/]*)/hookpoint=', 1)) as run,
        url_decode(regexp_extract(file, '/hookpoint=([^/]*)/', 1)) as hookpoint,
        nullif(url_decode(regexp_extract(file, '/selection=([^/]*)/', 1)), '') as selection
    from files
)

select
    run,
    hookpoint,
    selection
from places
where run <> '_'
order by run, hookpoint, selection nulls first;

-- The last answer of every scorer on every example, failures too.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view predictions as
select *
from read_parquet(
    getvariable('lake') || '/predictions/*/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
qualify row_number() over (
    partition by explanation_id, latent, selection, scorer, model, control, example, variant
    order by written_at desc
) = 1;

-- What users said of latents: the last value of each name by each source.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md. A value that was withdrawn is no row.
create or replace view labels as
with latest as (
    select *
    from read_parquet(
        coalesce(
            getvariable('files').labels,
            [getvariable('lake') || '/label[s_]/*/*/*/*.parquet']
        ),
        hive_partitioning = true,
        union_by_name = true,
        hive_types = {'run': varchar, 'hookpoint': varchar, 'source': varchar}
    )
    qualify row_number() over (
        partition by run, hookpoint, source, latent, name
        order by coalesce(generation, 0) desc, written_at desc, value
    ) = 1
)

select *
from latest
where value is not null;

-- The latents of a coder, dead ones too, as last computed.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
-- `union_by_name` gives files of a lake from before a column was there null in it.
create or replace view latents as
select *
from read_parquet(
    coalesce(
        getvariable('files').latents,
        [getvariable('lake') || '/latent[s_]/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
qualify row_number() over (
    partition by run, hookpoint, latent
    order by written_at desc
) = 1;

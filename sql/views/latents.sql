-- The latents of a coder, dead ones too, as last computed.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view latents as
select *
from read_parquet(
    getvariable('lake') || '/latents/*/*/*.parquet',
    hive_partitioning = true,
    hive_types = {'run': varchar, 'hookpoint': varchar}
)
qualify row_number() over (
    partition by run, hookpoint, latent
    order by written_at desc
) = 1;

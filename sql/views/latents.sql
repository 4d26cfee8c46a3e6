-- The latents of a coder, dead ones too, as last computed.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
-- `union_by_name` gives files of a lake from before a column was there null in it.
-- `lag(...) is null` keeps the last row, as `row_number() = 1` would; DuckDB 2.0.0 turns that into
--   a semi join of the files with themselves, and then loses rows when the view is joined.
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
qualify lag(written_at) over (
    partition by run, hookpoint, latent
    order by written_at desc
) is null;

-- For each latent the latents most like it, by method.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view neighbours as
select *
from read_parquet(
    coalesce(
        getvariable('files').neighbours,
        [getvariable('lake') || '/neighbour[s_]/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    union_by_name = true,
    hive_types = {'run': varchar, 'hookpoint': varchar, 'method': varchar}
);

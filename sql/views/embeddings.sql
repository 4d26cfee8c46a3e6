-- The whole aligned windows of the corpus as sentence encoders see them.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view embeddings as
select *
from read_parquet(
    coalesce(
        getvariable('files').embeddings,
        [getvariable('lake') || '/embedding[s_]/*/*/*/*/*.parquet']
    ),
    hive_partitioning = true,
    hive_types = {
        'run': varchar, 'sentence_encoder': varchar, 'example_ctx_len': int, 'shard': int
    }
);

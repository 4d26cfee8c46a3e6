-- Which runs does the lake hold, of what, and how large are they?
-- Needs: set variable lake = '<folder or URL>', and the macro run_settings.
-- Columns: see the table reference in README.md. A file a run and a file a shard is read, both small
--   and of JSON; `run_settings()` reads those of runs alone.
create or replace view runs as
with shards as (
    select
        run,
        rows,
        facts.tokens,
        schema_version,
        written_at,
        written_with
    from read_json(
        coalesce(
            getvariable('files').shards,
            [getvariable('lake') || '/manifests/context[s_]/*/*/*.json']
        ),
        hive_partitioning = true,
        hive_types = {'run': varchar, 'shard': int},
        columns = {
            'rows': 'bigint',
            'facts': 'struct(tokens bigint)',
            'schema_version': 'int',
            'written_at': 'timestamptz',
            'written_with': 'varchar'
        }
    )
),

sizes as (
    select
        run,
        sum(rows)::bigint as n_contexts,
        sum(tokens)::bigint as n_tokens,
        min(written_at) as begun_at,
        max(written_at) as last_written_at,
        max(schema_version) as schema_version,
        arg_max(written_with, written_at) as library_version
    from shards
    group by run
)

select
    settings.run,
    settings.model,
    settings.revision as model_revision,
    settings.sparse_model as coder,
    settings.dataset_repo as corpus,
    settings.dataset_name as corpus_name,
    settings.dataset_split as corpus_split,
    settings.cache_ctx_len,
    settings.seed,
    coalesce(sizes.n_contexts, 0) as n_contexts,
    coalesce(sizes.n_tokens, 0) as n_tokens,
    sizes.begun_at,
    sizes.last_written_at,
    sizes.schema_version,
    sizes.library_version
from run_settings() as settings
left join sizes using (run);

-- Under which settings was each run made?
-- Parameters: none. Needs: set variable lake = '<folder or URL>'.
-- Columns: run, and settings of its profile, each by the name after the dot; null in a run from
--   before a setting was there. A file a run is read, manifests/runs/<run>.json.
create or replace macro run_settings() as table
select
    url_decode(regexp_extract(filename, '([^/]*)\.json$', 1)) as run,
    "model.name" as model,
    "model.revision" as revision,
    "coder.sparse_model" as sparse_model,
    "corpus.dataset_repo" as dataset_repo,
    "corpus.dataset_name" as dataset_name,
    "corpus.dataset_split" as dataset_split,
    "cache.cache_ctx_len" as cache_ctx_len,
    "cache.n_tokens" as n_tokens,
    "run.seed" as seed
from read_json(
    coalesce(getvariable('files').runs, [getvariable('lake') || '/manifests/run[s_]/*.json']),
    filename = true,
    columns = {
        'model.name': 'varchar',
        'model.revision': 'varchar',
        'coder.sparse_model': 'varchar',
        'corpus.dataset_repo': 'varchar',
        'corpus.dataset_name': 'varchar',
        'corpus.dataset_split': 'varchar',
        'cache.cache_ctx_len': 'bigint',
        'cache.n_tokens': 'bigint',
        'run.seed': 'bigint'
    }
);

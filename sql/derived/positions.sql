-- Which token stands at each position of a run, and in which document?
-- Needs: the views contexts and vocabulary, and the macro run_settings.
-- Columns: see the table reference in README.md.
-- Positions are counted out from the settings of the run and not from the tokens: so a filter of
--   them, `position = 777` as well, leaves few rows to be joined with contexts, of which DuckDB then
--   reads the row groups with those contexts alone. Unnested tokens would all have to be read.
create or replace view positions as
with numbered as (
    select
        run,
        cache_ctx_len,
        unnest(range((n_tokens + cache_ctx_len - 1) // cache_ctx_len)) as context
    from run_settings()
),

offsets as (
    select
        run,
        cache_ctx_len,
        context,
        unnest(range(cache_ctx_len)) as "offset"
    from numbered
),

places as (
    select
        run,
        context,
        "offset",
        context * cache_ctx_len + "offset" as position
    from offsets
),

read as (
    select
        places.run,
        places.position,
        places.context,
        places."offset",
        contexts.document_ids[
            len(list_filter(contexts.document_starts, lambda start: start <= places."offset"))
        ] as document,
        contexts.tokens[places."offset" + 1] as token
    from places
    inner join contexts
        on places.run = contexts.run
        and places.context = contexts.context
    where places."offset" < len(contexts.tokens)
)

select
    read.run,
    read.position,
    read.context,
    read."offset",
    read.document,
    read.token,
    vocabulary.str_token as text
from read
left join vocabulary
    on read.run = vocabulary.run
    and read.token = vocabulary.token
    -- What does not occur in the run is not read: most of a large vocabulary.
    and vocabulary."count" > 0;

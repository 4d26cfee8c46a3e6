-- Which token stands at each position of the run?
-- Parameters: $contexts (files of the table contexts), $cache_ctx_len.
-- Makes the temporary table positions: position, token, preceding (null at a context's start).
create or replace temp table positions as
with unnested as (
    select
        context * $cache_ctx_len + unnest(range(len(tokens))) as position,
        unnest(tokens) as token,
        unnest(list_prepend(null, tokens[:-2])) as preceding
    from read_parquet($contexts)
)

select
    position,
    token,
    preceding
from unnested
order by position;

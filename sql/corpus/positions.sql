-- Which token stands at each position of the run?
-- Parameters: $contexts (files of the table contexts), $cache_ctx_len.
-- Makes the temporary table positions: position, token.
create or replace temp table positions as
with unnested as (
    select
        context * $cache_ctx_len + unnest(range(len(tokens))) as position,
        unnest(tokens) as token
    from read_parquet($contexts)
)

select
    position,
    token
from unnested
order by position;

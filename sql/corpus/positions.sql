-- Which token stands at each position of the run, and can it carry an activation?
-- Parameters: $contexts (files of the table contexts), $vocabulary (files of the table vocabulary),
--   $cache_ctx_len, $filter_bos (whether special tokens carry no activation).
-- Makes the temporary table positions: position, token, eligible (can carry an activation),
--   first (whether it is the first of its context that can).
create or replace temp table positions as
with unnested as (
    select
        context,
        context * $cache_ctx_len + unnest(range(len(tokens))) as position,
        unnest(tokens) as token
    from read_parquet($contexts, union_by_name = true)
),

judged as (
    select
        unnested.*,
        not ($filter_bos and special) as eligible
    from unnested
    inner join read_parquet($vocabulary, union_by_name = true) using (token)
),

firsts as (
    select min(position) as position
    from judged
    where eligible
    group by context
)

select
    judged.position,
    judged.token,
    judged.eligible,
    firsts.position is not null as first
from judged
left join firsts using (position)
order by judged.position;

-- How large is the corpus of a run?
-- Parameters: $contexts (files of the table contexts), $vocabulary (files of the table vocabulary),
--   $filter_bos (whether special tokens carry no activation).
-- Columns: n_contexts, n_tokens (positions of the run), n_eligible (positions that can fire).
with sizes as (
    select
        count(*) as n_contexts,
        coalesce(sum(len(tokens)), 0)::bigint as n_tokens
    from read_parquet($contexts, union_by_name = true)
),

specials as (
    select coalesce(sum("count") filter (special and $filter_bos), 0)::bigint as n_special
    from read_parquet($vocabulary, union_by_name = true)
)

select
    n_contexts,
    n_tokens,
    n_tokens - n_special as n_eligible
from sizes, specials;

-- How often does one token stand just before another in a context?
-- Parameters: $contexts (files of the table contexts).
-- Columns: preceding, token, n; ordered by both tokens.
with adjacent as (
    select
        unnest(tokens[:-2]) as preceding,
        unnest(tokens[2:]) as token
    from read_parquet($contexts, union_by_name = true)
)

select
    preceding,
    token,
    count(*) as n
from adjacent
group by preceding, token
order by preceding, token;

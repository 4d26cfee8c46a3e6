-- What do the newest explanations of a hookpoint come to, in whatever order they lie?
-- Needs: the view explanations.
-- Parameters: $run, $hookpoint.
-- Columns: n_rows, low and high: sums of the halves of a hash of each row, without its times and
-- costs; one row.
with
hashed as (
    select
        struct_pack(
            id := explanation_id,
            candidate := candidate,
            explanation := explanation,
            failure := failure,
            quick_score := quick_score,
            chosen := chosen
        )::varchar as content
    from explanations
    where run = $run and hookpoint = $hookpoint
)

select
    count(*) as n_rows,
    coalesce(sum(md5_number_lower(content)), 0)::varchar as low,
    coalesce(sum(md5_number_upper(content)), 0)::varchar as high
from hashed
order by n_rows;

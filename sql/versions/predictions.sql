-- What do the newest predictions of a hookpoint come to, in whatever order they lie?
-- Needs: the view predictions.
-- Parameters: $run, $hookpoint.
-- Columns: n_rows, low and high: sums of the halves of a hash of each row, without its times and
-- costs; one row.
with
hashed as (
    select
        struct_pack(
            explanation := explanation_id,
            latent := latent,
            selection := selection,
            scorer := scorer,
            judge := judge,
            judged := judge_hash,
            control := control,
            example := example,
            variant := variant,
            prediction := prediction,
            probability := probability,
            value := value,
            simulated := simulated,
            failure := failure
        )::varchar as content
    from predictions
    where run = $run and hookpoint = $hookpoint
)

select
    count(*) as n_rows,
    coalesce(sum(md5_number_lower(content)), 0)::varchar as low,
    coalesce(sum(md5_number_upper(content)), 0)::varchar as high
from hashed
order by n_rows;

-- What do the newest explanations of a hookpoint come to, in whatever order they lie?
-- Needs: the view explanations.
-- Parameters: $run, $hookpoint.
-- Columns: n_rows, hashes: the sum of a hash of each row without its times and costs; one row.
-- The hash is the engine's own, a tenth of the work of MD5: sums are compared within a lake alone.
select
    count(*) as n_rows,
    coalesce(
        sum(
            hash(
                explanation_id, candidate, explanation, failure, quick_score, chosen
            )::hugeint
        ),
        0
    )::varchar as hashes
from explanations
where run = $run and hookpoint = $hookpoint
order by n_rows;

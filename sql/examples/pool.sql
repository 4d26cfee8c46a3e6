-- Which windows can be drawn for each latent, how do they rank, in what order are they drawn?
-- Parameters: $min_examples, $max_examples, $n_quantiles, $seed, $run.
-- Needs: the temporary table candidates.
-- Makes the temporary table pool: latent, position, max_activation, place (1 the strongest),
--   quantile (rank bin, 0 the strongest), draw (a hash; the order of random draws),
--   turn (the window's turn when its quantile is asked), latent_max.
create or replace temp table pool as
with ranked as (
    select
        latent,
        position,
        max_activation,
        row_number() over (
            partition by latent
            order by max_activation desc, position
        ) as place
    from candidates
),

strongest as (
    select
        *,
        count(*) over (partition by latent) as n_windows,
        max(max_activation) over (partition by latent) as latent_max
    from ranked
    where place <= $max_examples
),

binned as (
    select
        latent,
        position,
        max_activation,
        place,
        latent_max,
        (place - 1) * $n_quantiles // n_windows as quantile,
        md5_number_lower(concat_ws(' ', $seed, $run, latent, position)) as draw
    from strongest
    where n_windows >= $min_examples
)

select
    *,
    row_number() over (partition by latent, quantile order by draw, position) as turn
from binned
order by latent, place;

-- How well do simulated activations follow the real ones? How strongly a latent fires is simulated, not
--   with which sign, so real ones count by their magnitude.
-- Parameters: of_files (of the table predictions, the one without rows first), by_quantile (whether
--   each rank bin counts for itself; otherwise quantile is null).
-- Needs: the macros, and the view examples.
-- Columns: what a row of `scores` is about, quantile (rank bin of the windows, null for silent
--   ones), Pearson's correlation over all tokens of these windows laid end to end, with its 95%
--   interval, constant_simulation (the judge expected the same on every token) and effective_windows
--   (how many windows the interval rests on; null without one). A judge that expects the same
--   everywhere follows nothing: its correlation, which has no value, counts as 0, without an
--   interval. No row where the real activations are constant, for there is nothing to follow; no
--   interval with fewer than three windows. Windows for which the two lists differ in length are left
--   out.
-- Rows of predictions that hold simulated activations are read from the files: most files have none,
--   and are passed over. The last answer wins, as in the view predictions.
-- What a row is about stays in plain columns, so that a filter on them reaches the files.
-- The interval: windows are independent, tokens of a window are not, and a few strong windows may
--   carry the whole correlation. So windows are left out one by one (jackknife), on Fisher's z scale,
--   which gives its bias and its variance. Where few windows dominate, the variance is itself
--   uncertain: Student's quantile has (sum d^2)^2 / sum d^4 degrees of freedom, at least two, of the
--   deviations d that leaving out a window makes. A judge that happens to name no right token seems
--   certain, so the variance is at least that of tokens shuffled within their windows.
-- Without a window, its sums are taken off those of all, which are of deviations from the mean; what
--   is left has another mean, hence `x * y / n`.
create or replace macro correlations(of_files, by_quantile) as table
with simulated as (
    -- In files of version 4 and before, judge is called model.
    select * exclude (model) replace (coalesce(judge, model) as judge)
    from read_parquet(
        of_files,
        hive_partitioning = true,
        union_by_name = true,
        hive_types = {'run': varchar, 'hookpoint': varchar}
    )
    where simulated is not null and failure is null
),

simulations as (
    select *
    from simulated
    qualify row_number() over (
        partition by
            run,
            hookpoint,
            explanation_id,
            latent,
            selection,
            scorer,
            judge,
            judge_hash,
            control,
            example,
            variant
        order by
            coalesce(generation, 0) desc,
            written_at desc,
            request
    ) = 1
),

windows as (
    select
        simulations.run,
        simulations.hookpoint,
        simulations.latent,
        simulations.explanation_id,
        simulations.selection,
        simulations.scorer,
        simulations.judge,
        simulations.judge_hash,
        simulations.control,
        case when by_quantile then simulations.quantile end as quantile,
        simulations.simulated::double[] as xs,
        list_transform(examples.activations, lambda y: abs(y::double)) as ys
    from simulations
    inner join examples
        on simulations.run = examples.run
        and simulations.hookpoint = examples.hookpoint
        and simulations.selection = examples.selection
        and simulations.latent = examples.latent
        and simulations.example = examples.example
        and len(simulations.simulated) = len(examples.activations)
),

gathered as (
    select
        * exclude (xs, ys),
        count(*) as n_windows,
        sum(list_sum(xs)) / sum(len(xs)) as mean_x,
        sum(list_sum(ys)) / sum(len(ys)) as mean_y,
        min(list_min(xs)) = max(list_max(xs)) as constant_simulation,
        list({'xs': xs, 'ys': ys}) as pairs
    from windows
    group by all
    having min(list_min(ys)) < max(list_max(ys))
),

deviations as (
    select
        * exclude (pairs, mean_x, mean_y),
        list_transform(
            pairs,
            lambda pair: {
                'xs': list_transform(pair.xs, lambda x: x - mean_x),
                'ys': list_transform(pair.ys, lambda y: y - mean_y)
            }
        ) as pairs
    from gathered
),

products as (
    select
        * exclude (pairs),
        list_transform(
            pairs,
            lambda pair: {
                'n': len(pair.xs),
                'x': list_sum(pair.xs),
                'y': list_sum(pair.ys),
                'xx': list_inner_product(pair.xs, pair.xs),
                'yy': list_inner_product(pair.ys, pair.ys),
                'xy': list_inner_product(pair.xs, pair.ys)
            }
        ) as products
    from deviations
),

correlated as (
    select
        *,
        list_sum(list_transform(products, lambda product: product.n)) as n,
        list_sum(list_transform(products, lambda product: product.xx)) as xx,
        list_sum(list_transform(products, lambda product: product.yy)) as yy,
        list_sum(list_transform(products, lambda product: product.xy)) as xy,
        -- Rounding may lead beyond 1, where atanh gives no number.
        case
            when constant_simulation then 0
            else greatest(-1, least(1, xy / sqrt(xx * yy)))
        end as correlation
    from products
),

left_out as (
    select
        *,
        case
            when n_windows > 2 and abs(correlation) < 1 and not constant_simulation
                then list_transform(
                    products,
                    lambda product: {
                        'xx': xx - product.xx - product.x ** 2 / (n - product.n),
                        'yy': yy - product.yy - product.y ** 2 / (n - product.n),
                        'xy': xy - product.xy - product.x * product.y / (n - product.n)
                    }
                )
        end as rests
    from correlated
),

transformed as (
    select
        *,
        list_transform(
            rests,
            lambda rest: case
                -- Without the only window in which anything differs, nothing is followed.
                when rest.xx <= 1e-12 * xx or rest.yy <= 1e-12 * yy then 0
                else atanh(
                    greatest(-0.999999, least(0.999999, rest.xy / sqrt(rest.xx * rest.yy)))
                )
            end
        ) as zs
    from left_out
),

deviating as (
    select
        *,
        n_windows * atanh(correlation) - (n_windows - 1) * list_avg(zs) as z,
        list_transform(zs, lambda one: (one - list_avg(zs)) ** 2) as squares,
        list_sum(
            list_transform(
                products,
                lambda product: coalesce(product.xx * product.yy / nullif(product.n - 1, 0), 0)
            )
        ) / (xx * yy) as variance_of_shuffled
    from transformed
),

estimated as (
    select
        *,
        list_sum(squares) ** 2
        / nullif(list_inner_product(squares, squares), 0) as effective_windows,
        student95(greatest(2, effective_windows))
        * sqrt(
            greatest(list_sum(squares) * (n_windows - 1) / n_windows, variance_of_shuffled)
        ) as half
    from deviating
)

select
    run,
    hookpoint,
    latent,
    explanation_id,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    quantile,
    correlation,
    -- `least` and `greatest` pass over nulls.
    case when z is not null then least(correlation, tanh(z - half)) end as correlation_low,
    case when z is not null then greatest(correlation, tanh(z + half)) end as correlation_high,
    constant_simulation,
    effective_windows
from estimated;

-- How well do simulated activations follow the real ones? How strongly a latent fires is simulated, not
--   with which sign, so real ones count by their magnitude.
-- Parameters: by_quantile (whether each rank bin counts for itself; otherwise quantile is null).
-- Needs: set variable lake = '<folder or URL>', the macros, and the view examples.
-- Columns: what a row of `scores` is about, quantile (rank bin of the windows, null for silent
--   ones), Pearson's correlation over all tokens of these windows laid end to end, with its 95%
--   interval, and constant_simulation (the judge expected the same on every token). Such a judge
--   follows nothing: its correlation, which has no value, counts as 0, without an interval. No row
--   where the real activations are constant, for there is nothing to follow; no interval with fewer
--   than three windows. Windows for which the two lists differ in length are left out.
-- Rows of predictions that hold simulated activations are read from the files: most files have none,
--   and are passed over. The last answer wins, as in the view predictions, which see for `lag`.
-- What a row is about stays in plain columns, so that a filter on them reaches the files.
-- The interval: windows are independent, tokens of a window are not. So the variance is that of the
--   windows' summed influences on the correlation (Devlin, Gnanadesikan and Kettenring 1975; summed
--   by cluster as Liang and Zeger 1986), on Fisher's z scale, with Student's quantile.
create or replace macro correlations(by_quantile) as table
with simulations as (
    select *
    from read_parquet(
        coalesce(
            getvariable('files').predictions,
            [getvariable('lake') || '/prediction[s_]/*/*/*.parquet']
        ),
        hive_partitioning = true,
        union_by_name = true,
        hive_types = {'run': varchar, 'hookpoint': varchar}
    )
    where simulated is not null and failure is null
    qualify lag(written_at) over (
        partition by
            run,
            hookpoint,
            explanation_id,
            latent,
            selection,
            scorer,
            model,
            judge_hash,
            control,
            example,
            variant
        order by written_at desc
    ) is null
),

windows as (
    select
        simulations.run,
        simulations.hookpoint,
        simulations.latent,
        simulations.explanation_id,
        simulations.selection,
        simulations.scorer,
        simulations.model,
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

estimated as (
    select
        *,
        -- Standard error on the scale of atanh.
        case
            when abs(correlation) < 1 and not constant_simulation
                then sqrt(
                    n_windows / (n_windows - 1)
                    * list_sum(
                        list_transform(
                            products,
                            lambda product: (
                                product.xy / sqrt(xx * yy)
                                - correlation / 2 * (product.xx / xx + product.yy / yy)
                            ) ** 2
                        )
                    )
                ) / (1 - correlation ** 2)
        end as error,
        student95(n_windows - 1) as width
    from correlated
)

select
    run,
    hookpoint,
    latent,
    explanation_id,
    selection,
    scorer,
    model,
    judge_hash,
    control,
    quantile,
    correlation,
    tanh(atanh(correlation) - width * error) as correlation_low,
    tanh(atanh(correlation) + width * error) as correlation_high,
    constant_simulation
from estimated;

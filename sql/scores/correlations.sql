-- How well do simulated activations follow the real ones?
-- Parameters: by_quantile (whether each rank bin counts for itself; otherwise quantile is null).
-- Needs: the views predictions and examples.
-- Columns: what a row of `scores` is about, quantile (rank bin of the windows, null for silent
--   ones), and Pearson's correlation over all tokens of these windows laid end to end, with its 95%
--   interval. No row where either side is constant; no interval with fewer than three windows.
--   Windows for which the two lists differ in length are left out. Only scorers whose name begins
--   with `simulation` are read: without them, this costs nothing.
-- What a row is about stays in plain columns, so that a filter on them reaches the files.
-- The interval: windows are independent, tokens of a window are not. So the variance is that of the
--   windows' summed influences on the correlation (Devlin, Gnanadesikan and Kettenring 1975; summed
--   by cluster as Liang and Zeger 1986), on Fisher's z scale, with Student's quantile.
create or replace macro correlations(by_quantile) as table
with windows as (
    select
        predictions.run,
        predictions.hookpoint,
        predictions.latent,
        predictions.explanation_id,
        predictions.selection,
        predictions.scorer,
        predictions.model,
        predictions.judge_hash,
        predictions.control,
        case when by_quantile then predictions.quantile end as quantile,
        predictions.simulated::double[] as xs,
        examples.activations::double[] as ys
    from predictions
    inner join examples
        on predictions.run = examples.run
        and predictions.hookpoint = examples.hookpoint
        and predictions.selection = examples.selection
        and predictions.latent = examples.latent
        and predictions.example = examples.example
        and len(predictions.simulated) = len(examples.activations)
    where
        predictions.scorer like 'simulation%'
        and predictions.failure is null
        and predictions.simulated is not null
),

gathered as (
    select
        * exclude (xs, ys),
        count(*) as n_windows,
        sum(list_sum(xs)) / sum(len(xs)) as mean_x,
        sum(list_sum(ys)) / sum(len(ys)) as mean_y,
        list({'xs': xs, 'ys': ys}) as pairs
    from windows
    group by all
    having
        min(list_min(xs)) < max(list_max(xs)) and min(list_min(ys)) < max(list_max(ys))
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
        -- Rounding may lead beyond 1, where atanh gives no number.
        greatest(
            -1,
            least(
                1,
                list_sum(list_transform(products, lambda product: product.xy)) / sqrt(xx * yy)
            )
        ) as correlation
    from products
),

estimated as (
    select
        *,
        -- Standard error on the scale of atanh.
        case
            when abs(correlation) < 1
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
    tanh(atanh(correlation) + width * error) as correlation_high
from estimated;

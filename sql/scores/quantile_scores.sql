-- Does an explanation describe strong activations only? The rows of `scores`, by rank bin of the
--   judged window.
-- Needs: set variable lake = '<folder or URL>', the macros, and the views predictions and examples.
-- Columns: see the table reference in README.md.
create or replace view quantile_scores as
with counted as (
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
        count(*) as n_examples,
        count(failure) as n_failed,
        count(*) filter (failure is null and prediction = truth) as n_right,
        count(*) filter (failure is null and prediction <> truth) as n_wrong,
        avg(chance) filter (failure is null) as chance
    from predictions
    group by all
),

rates as (
    select
        *,
        n_right / nullif(n_right + n_wrong, 0) as accuracy,
        wilson(accuracy, n_right + n_wrong) as of_accuracy
    from counted
)

select
    rates.run,
    rates.hookpoint,
    rates.latent,
    rates.explanation_id,
    rates.selection,
    rates.scorer,
    rates.judge,
    rates.judge_hash,
    rates.control,
    rates.quantile,
    rates.n_examples,
    rates.n_failed,
    rates.n_failed / rates.n_examples as failed_share,
    rates.n_right,
    rates.accuracy,
    rates.of_accuracy.low as accuracy_low,
    rates.of_accuracy.high as accuracy_high,
    rates.chance,
    simulated.correlation,
    simulated.correlation_low,
    simulated.correlation_high,
    simulated.constant_simulation,
    simulated.effective_windows
from rates
left join
    correlations(
        coalesce(
            getvariable('files').predictions,
            [getvariable('lake') || '/prediction[s_]/*/*/*.parquet']
        ),
        true
    ) as simulated
    on rates.run = simulated.run
    and rates.hookpoint = simulated.hookpoint
    and rates.latent = simulated.latent
    and rates.explanation_id = simulated.explanation_id
    and rates.selection = simulated.selection
    and rates.scorer = simulated.scorer
    and rates.judge = simulated.judge
    and rates.judge_hash = simulated.judge_hash
    and rates.control = simulated.control
    and rates.quantile is not distinct from simulated.quantile;

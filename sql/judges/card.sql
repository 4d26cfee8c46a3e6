-- What does a judge, asked in one way, make of the descriptions of planted latents?
-- Parameters: $run, $hookpoint (of a planted run), $selection, $scorer, $judge, $judge_hash, $by_log_prob
--   (whether windows are ranked by probabilities; else by yes and no).
-- Needs: explanations whose explainer is planted_<relation>, judged on equal windows.
-- Columns: those of the table judges from n_latents to calls_per_second; one row, n_answers 0 where
--   it was not asked.
with judged as (
    select
        predictions.latent,
        predictions.explanation_id,
        explanations.explainer = 'planted_true' as is_true,
        predictions.truth,
        predictions.prediction,
        predictions.failure,
        predictions.request,
        predictions.prompt_version,
        case
            when predictions.failure is not null then null
            when $by_log_prob then predictions.probability
            else predictions.prediction::int
        end as ranked
    from predictions
    inner join explanations
        on predictions.run = explanations.run
        and predictions.hookpoint = explanations.hookpoint
        and predictions.explanation_id = explanations.explanation_id
    where
        predictions.run = $run
        and predictions.hookpoint = $hookpoint
        and predictions.selection = $selection
        and predictions.scorer = $scorer
        and predictions.judge = $judge
        and predictions.judge_hash = $judge_hash
        and predictions.control = 'none'
        and starts_with(explanations.explainer, 'planted_')
),

-- How often a window in which the latent fires is ranked above a silent one, a description a row.
told_apart as (
    select
        firing.latent,
        firing.explanation_id,
        firing.is_true,
        avg((firing.ranked > silent.ranked)::int + (firing.ranked = silent.ranked)::int / 2)
            as auroc
    from judged as firing
    inner join judged as silent
        on firing.explanation_id = silent.explanation_id
        and firing.latent = silent.latent
    where firing.truth and not silent.truth
    group by firing.latent, firing.explanation_id, firing.is_true
    having avg(firing.ranked) is not null and avg(silent.ranked) is not null
),

of_latents as (
    select
        count(auroc) as n,
        avg(auroc) as auroc,
        case when n > 2 then student95(n - 1) * stddev_samp(auroc) / sqrt(n) end as reach
    from told_apart
    where is_true
),

of_pairs as (
    select
        count(*) as n_pairs,
        avg((own.auroc > other.auroc)::int + (own.auroc = other.auroc)::int / 2) as share
    from told_apart as own
    inner join told_apart as other
        on own.latent = other.latent
    where own.is_true and not other.is_true
),

of_answers as (
    select
        count(distinct latent) as n_latents,
        count(*) as n_answers,
        count(failure) / nullif(count(*), 0) as failed_share,
        count(*) filter (is_true and failure is null) as n_yes_or_no,
        avg(prediction::int) filter (is_true and failure is null) as yes_share,
        avg(truth::int) filter (is_true and failure is null) as truth_share,
        max(prompt_version) as prompt_version
    from judged
),

reasons as (
    select string_agg(failure || ' ' || n, ', ' order by n desc, failure) as failures
    from (
        select
            failure,
            count(*) as n
        from judged
        where failure is not null
        group by failure
    )
),

of_calls as (
    select
        count(*) as n_calls,
        sum(prompt_tokens) as prompt_tokens,
        sum(cached_tokens) as cached_tokens,
        sum(completion_tokens) as completion_tokens,
        sum(cost) as dollars,
        sum(latency) as seconds
    from completions
    where run = $run and request in (select request from judged)
)

select
    n_latents,
    n_answers,
    auroc,
    case when reach is not null then greatest(0, auroc - reach) end as auroc_low,
    case when reach is not null then least(1, auroc + reach) end as auroc_high,
    n_pairs,
    share as true_above_wrong,
    wilson(share, n_pairs).low as true_above_wrong_low,
    wilson(share, n_pairs).high as true_above_wrong_high,
    yes_share,
    wilson(yes_share, n_yes_or_no).low as yes_share_low,
    wilson(yes_share, n_yes_or_no).high as yes_share_high,
    yes_share - truth_share as bias,
    failed_share,
    wilson(failed_share, n_answers).low as failed_share_low,
    wilson(failed_share, n_answers).high as failed_share_high,
    failures,
    n_calls,
    prompt_tokens::bigint as prompt_tokens,
    cached_tokens::bigint as cached_tokens,
    completion_tokens::bigint as completion_tokens,
    dollars,
    seconds,
    n_calls / nullif(seconds, 0) as calls_per_second,
    prompt_version
from of_answers, of_latents, of_pairs, reasons, of_calls;

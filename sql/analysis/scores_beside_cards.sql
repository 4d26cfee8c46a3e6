-- How far are scores to be believed: what stands beside them on the card of their judge?
-- Parameters: $run, $hookpoint.
-- Columns: scorer, judge, how it was asked (judge_hash), explainer and its model, metric, latents, the
--   mean score and the mean floor of those that have one, then the judge's card: planted run, its
--   AUROC with its 95% interval, how often the true description was above a wrong one, bias to yes,
--   share of failures, agreement with a strong LLM, and what the card says in words: never
--   calibrated, no usable answer, on too few latents, at chance, below chance, tells windows apart
--   (null where no LLM judged, or of a scorer that has no card). A judge that was
--   calibrated on several planted runs has a row for each.
with asked as (
    -- A judge is an LLM where an answer came from a completion.
    select
        scorer,
        judge,
        judge_hash
    from predictions
    where run = $run and hookpoint = $hookpoint and scorer in ('detection', 'fuzz')
    group by scorer, judge, judge_hash
    having count(request) > 0
)

select
    scored.scorer,
    scored.judge,
    scored.judge_hash,
    scored.explainer,
    scored.explainer_model,
    scored.metric,
    count(distinct scored.latent) as n_latents,
    avg(scored.score) as score,
    avg(scored.floor) as floor,
    judges.planted_run,
    judges.auroc as judge_auroc,
    judges.auroc_low as judge_auroc_low,
    judges.auroc_high as judge_auroc_high,
    judges.true_above_wrong as judge_true_above_wrong,
    judges.bias as judge_bias,
    judges.failed_share as judge_failed_share,
    judges.strong_agreement as judge_strong_agreement,
    if(
        asked.judge is null,
        null,
        card_says(judges.judge, judges.failed_share, judges.auroc_low, judges.auroc_high)
    ) as verdict
from scored_latents as scored
left join judges
    on scored.run = judges.run
    and scored.scorer = judges.scorer
    and scored.judge = judges.judge
    and scored.judge_hash = judges.judge_hash
left join asked
    on scored.scorer = asked.scorer
    and scored.judge = asked.judge
    and scored.judge_hash = asked.judge_hash
where scored.run = $run and scored.hookpoint = $hookpoint and scored.score is not null
group by all
order by
    scored.scorer,
    scored.judge,
    scored.judge_hash,
    scored.explainer,
    scored.explainer_model,
    judges.planted_run;

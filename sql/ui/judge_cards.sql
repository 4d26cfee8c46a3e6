-- What is known of the judges that have judged at a hookpoint?
-- Parameters: $run, $hookpoint.
-- Columns: scorer, judge, how it was asked, and of its card the planted run, AUROC with its 95%
--   interval, how often the true description was above a wrong one, bias to yes, share of failures,
--   agreement with a strong LLM, and whether this way to ask is the best for the money.
with asked as (
    select distinct
        run,
        scorer,
        judge,
        judge_hash
    from predictions
    where run = $run and hookpoint = $hookpoint
)

select
    judges.scorer,
    judges.judge,
    judges.answer,
    judges.n_windows_asked,
    judges.log_prob,
    judges.planted_run,
    judges.n_latents,
    judges.auroc,
    judges.auroc_low,
    judges.auroc_high,
    judges.true_above_wrong,
    judges.bias,
    judges.failed_share,
    judges.strong_agreement,
    judges.best
from judges
inner join asked using (run, scorer, judge, judge_hash)
order by judges.scorer, judges.judge, judges.judge_hash, judges.planted_run;

-- Do two judges give the same answers on the same windows?
-- Parameters: $run, $hookpoint.
-- Columns: scorer, two judges and how they were asked (judge_hash), latents and windows that both
--   judged with the same explanation, the share of equal answers, Cohen's kappa (1960; agreement
--   above that of independent answers; null where both always answer the same), the share of right
--   answers of each, and the share that both got wrong, which another judge of their kind would not
--   mend. Failures and scorers that say neither yes nor no are left out.
with answers as (
    select
        explanation_id,
        latent,
        selection,
        scorer,
        {'judge': judge, 'judge_hash': judge_hash} as judge,
        example,
        variant,
        truth,
        prediction
    from predictions
    where
        run = $run
        and hookpoint = $hookpoint
        and control = 'none'
        and prediction is not null
),

counted as (
    select
        one.scorer,
        one.judge,
        other.judge as other_judge,
        count(distinct one.latent) as n_latents,
        count(*) as n_answers,
        avg((one.prediction = other.prediction)::int) as agreement,
        avg(one.prediction::int) as yes,
        avg(other.prediction::int) as other_yes,
        avg((one.prediction = one.truth)::int) as share_right,
        avg((other.prediction = other.truth)::int) as other_share_right,
        avg((one.prediction <> one.truth and other.prediction <> other.truth)::int)
            as share_both_wrong
    from answers as one
    inner join answers as other
        on one.explanation_id = other.explanation_id
        and one.latent = other.latent
        and one.selection = other.selection
        and one.scorer = other.scorer
        and one.example = other.example
        and one.variant = other.variant
        and one.judge < other.judge
    group by one.scorer, one.judge, other.judge
),

chances as (
    select
        *,
        yes * other_yes + (1 - yes) * (1 - other_yes) as by_chance
    from counted
)

select
    scorer,
    judge.judge,
    judge.judge_hash as judge_hash,
    other_judge.judge as other_judge,
    other_judge.judge_hash as other_judge_hash,
    n_latents,
    n_answers,
    agreement,
    (agreement - by_chance) / nullif(1 - by_chance, 0) as kappa,
    share_right,
    other_share_right,
    share_both_wrong
from chances
order by chances.scorer, chances.judge, chances.other_judge;

-- On which explanations do two scorers disagree most?
-- Parameters: $run, $hookpoint, $scorer, $other_scorer, $n_rows (most rows shown).
-- Columns: latent, the score by each scorer (balanced accuracy; correlation for a scorer that
--   simulates, AUROC for one that only ranks, accuracy for one that picks), the share of the
--   explanations judged by both that this one beats there (percent rank, 0 the worst and 1 the best),
--   their difference, the judges, the explanation. The largest difference comes first. A scorer that
--   judges without an explanation is compared on the same latent.
with judged as (
    select *
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer in ($scorer, $other_scorer)
        and score is not null
),

pairs as (
    select
        one.latent,
        one.selection,
        case
            when one.explanation_id = 'none' then other.explanation_id else one.explanation_id
        end as explanation_id,
        one.judge,
        one.judge_hash,
        one.score,
        other.judge as other_judge,
        other.judge_hash as other_judge_hash,
        other.score as other_score
    from judged as one
    inner join judged as other
        on one.latent = other.latent
        and one.selection = other.selection
        and (
            one.explanation_id = other.explanation_id
            or one.explanation_id = 'none'
            or other.explanation_id = 'none'
        )
    where
        one.scorer = $scorer
        and other.scorer = $other_scorer
        and one.score is not null
        and other.score is not null
),

ranked as (
    select
        *,
        percent_rank() over (of_judges order by score) as place,
        percent_rank() over (of_judges order by other_score) as other_place
    from pairs
    window of_judges as (partition by judge, judge_hash, other_judge, other_judge_hash)
)

select
    ranked.latent,
    ranked.score,
    ranked.other_score,
    ranked.place,
    ranked.other_place,
    ranked.place - ranked.other_place as difference,
    ranked.judge,
    ranked.other_judge,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation,
    ranked.selection,
    ranked.explanation_id
from ranked
left join explanations
    on explanations.run = $run
    and explanations.hookpoint = $hookpoint
    and ranked.explanation_id = explanations.explanation_id
order by
    abs(ranked.place - ranked.other_place) desc,
    ranked.latent,
    ranked.explanation_id,
    ranked.selection,
    ranked.judge,
    ranked.judge_hash,
    ranked.other_judge,
    ranked.other_judge_hash
limit $n_rows;

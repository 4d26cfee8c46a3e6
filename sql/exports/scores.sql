-- How do scorers judge the best explanations of some latents, and what are the floors?
-- Parameters: $run, $hookpoint, $first, $last (latents, half open), $scorers with their $metrics (two
--   lists, see scorers.sql), and those of the macro best_explanations: $scorer, $metric,
--   $scorer_model, $selection, $explainer, $explainer_model.
-- Needs: the views kept_scores and explanations, the macro best_explanations.
-- Columns: latent, explanation_id, scorer, metric, judge and how it was asked (judge_hash), answers
--   asked for and failed, score with the ends of its 95% interval, the same metric for another
--   latent's explanation by the same explainer (shuffled) and for none (empty), and what a guess
--   gives where one of several is picked (chance); to twelve digits, because the last ones of a sum
--   depend on the order of its parts. In order of latent and scorer.
-- Of several judges of a scorer, or ways to ask one, $scorer_model counts, else the first by name. A
--   scorer that judges without an explanation is taken by latent and selection.
with best as (
    select *
    from
        best_explanations(
            $run,
            $hookpoint,
            $first,
            $last,
            $scorer,
            $metric,
            $scorer_model,
            $selection,
            $explainer,
            $explainer_model
        )
),

judged as (
    select
        latent,
        explanation_id,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        n_examples,
        n_failed,
        chance,
        $metrics[list_position($scorers, scorer)] as metric,
        case metric
            when 'balanced_accuracy' then balanced_accuracy
            when 'correlation' then correlation
            when 'auroc' then auroc
            else accuracy
        end as score,
        case metric
            when 'balanced_accuracy' then balanced_accuracy_low
            when 'correlation' then correlation_low
            when 'auroc' then auroc_low
            else accuracy_low
        end as score_low,
        case metric
            when 'balanced_accuracy' then balanced_accuracy_high
            when 'correlation' then correlation_high
            when 'auroc' then auroc_high
            else accuracy_high
        end as score_high
    from kept_scores
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
),

own as (
    select
        judged.*,
        best.explanation_id as best_id,
        best.explainer,
        best.explainer_model
    from judged
    inner join best
        on judged.latent = best.latent
        and judged.selection = best.selection
        and (judged.explanation_id = best.explanation_id or judged.explanation_id = 'none')
    where judged.control = 'none'
    qualify lag(judged.judge) over (
        partition by judged.latent, judged.scorer
        order by
            coalesce(judged.judge = $scorer_model::varchar, false) desc,
            judged.judge,
            judged.judge_hash
    ) is null
),

-- One floor a latent, should there be several: the explanations change as latents are added.
shuffled as (
    select
        judged.latent,
        judged.selection,
        judged.scorer,
        judged.judge,
        judged.judge_hash,
        explanations.explainer,
        explanations.explainer_model,
        min_by(judged.score, judged.explanation_id) as score
    from judged
    inner join explanations
        on explanations.run = $run
        and explanations.hookpoint = $hookpoint
        and judged.explanation_id = explanations.explanation_id
    where judged.control = 'shuffled'
    group by all
),

empty as (
    select
        latent,
        selection,
        scorer,
        judge,
        judge_hash,
        score
    from judged
    where control = 'empty'
)

select
    own.latent,
    own.best_id as explanation_id,
    own.scorer,
    own.metric,
    own.judge,
    own.judge_hash,
    own.n_examples,
    own.n_failed,
    round(own.score, 12) as score,
    round(own.score_low, 12) as score_low,
    round(own.score_high, 12) as score_high,
    round(shuffled.score, 12) as shuffled,
    round(empty.score, 12) as empty,
    round(own.chance, 12) as chance
from own
left join shuffled
    using (latent, selection, scorer, judge, judge_hash, explainer, explainer_model)
left join empty
    using (latent, selection, scorer, judge, judge_hash)
order by own.latent, own.scorer;

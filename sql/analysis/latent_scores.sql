-- How good is each latent's explanation by every scorer, and what are its floors?
-- Parameters: $run, $hookpoint.
-- Columns: latent, selection, explainer, scorer, judge, the metric shown, its value for the latent's
--   own explanation (own), for another latent's (shuffled), for an empty one (empty), each with a 95%
--   interval, what a guess gives where one of several is picked (chance), own less the highest of
--   these floors (above_floors), for comparison the value of the explanation that counting gives
--   (lexical): judged by counting, or by this judge where the scorer cannot be judged so; answers
--   asked for, of these failed and their share, how it was asked (judge_hash), and the explanation.
-- The metric of a scorer is the first of balanced accuracy (it says yes or no), correlation (it
--   simulates), AUROC (it only ranks) and accuracy (it picks) that is defined for any of its rows.
with judged as (
    select
        scores.*,
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.explainer_model, 'none') as explainer_model,
        explanations.explanation,
        case
            when count(balanced_accuracy) over of_scorer > 0 then 'balanced_accuracy'
            when count(correlation) over of_scorer > 0 then 'correlation'
            when count(auroc) over of_scorer > 0 then 'auroc'
            when count(accuracy) over of_scorer > 0 then 'accuracy'
        end as metric
    from scores
    left join explanations
        on scores.run = explanations.run
        and scores.hookpoint = explanations.hookpoint
        and scores.explanation_id = explanations.explanation_id
    where scores.run = $run and scores.hookpoint = $hookpoint
    window of_scorer as (partition by scores.scorer)
),

valued as (
    select
        *,
        case metric
            when 'balanced_accuracy' then balanced_accuracy
            when 'correlation' then correlation
            when 'auroc' then auroc
            when 'accuracy' then accuracy
        end as score,
        case metric
            when 'balanced_accuracy' then balanced_accuracy_low
            when 'correlation' then correlation_low
            when 'auroc' then auroc_low
            when 'accuracy' then accuracy_low
        end as low,
        case metric
            when 'balanced_accuracy' then balanced_accuracy_high
            when 'correlation' then correlation_high
            when 'auroc' then auroc_high
            when 'accuracy' then accuracy_high
        end as high
    from judged
),

-- One floor a latent, should there be several: the explanations change as latents are added.
shuffled as (
    select
        latent,
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        min_by({'score': score, 'low': low, 'high': high}, explanation_id) as floor
    from valued
    where control = 'shuffled'
    group by all
),

lexical as (
    select
        latent,
        selection,
        scorer,
        judge,
        judge_hash,
        min_by(score, explanation_id) as score
    from valued
    where control = 'none' and explainer = 'lexical'
    group by all
),

counted as (
    select
        latent,
        selection,
        scorer,
        score
    from lexical
    where judge = 'lexical'
    qualify row_number() over (partition by latent, selection, scorer order by judge_hash) = 1
)

select
    own.latent,
    own.selection,
    own.explainer,
    own.explainer_model,
    own.scorer,
    own.judge,
    own.metric,
    own.score as own,
    own.low as own_low,
    own.high as own_high,
    shuffled.floor.score as shuffled,
    shuffled.floor.low as shuffled_low,
    shuffled.floor.high as shuffled_high,
    empty.score as empty,
    empty.low as empty_low,
    empty.high as empty_high,
    own.chance,
    own.score - greatest(shuffled.floor.score, empty.score, own.chance) as above_floors,
    coalesce(counted.score, lexical.score) as lexical,
    own.n_examples,
    own.n_failed,
    own.failed_share,
    own.judge_hash,
    own.explanation_id,
    own.explanation
from valued as own
left join shuffled
    on own.latent = shuffled.latent
    and own.explainer = shuffled.explainer
    and own.explainer_model = shuffled.explainer_model
    and own.selection = shuffled.selection
    and own.scorer = shuffled.scorer
    and own.judge = shuffled.judge
    and own.judge_hash = shuffled.judge_hash
left join valued as empty
    on own.latent = empty.latent
    and own.selection = empty.selection
    and own.scorer = empty.scorer
    and own.judge = empty.judge
    and own.judge_hash = empty.judge_hash
    and empty.control = 'empty'
left join counted
    on own.latent = counted.latent
    and own.selection = counted.selection
    and own.scorer = counted.scorer
left join lexical
    on own.latent = lexical.latent
    and own.selection = lexical.selection
    and own.scorer = lexical.scorer
    and own.judge = lexical.judge
    and own.judge_hash = lexical.judge_hash
where own.control = 'none'
order by
    own.latent,
    own.selection,
    own.explainer,
    own.explainer_model,
    own.scorer,
    own.judge,
    own.judge_hash,
    own.explanation_id;

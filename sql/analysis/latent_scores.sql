-- How good is each latent's explanation by every scorer, and what are its floors?
-- Parameters: $run, $hookpoint.
-- Columns: latent, selection, explainer, scorer, judge, the metric shown, its value for the latent's
--   own explanation (own), for another latent's (shuffled), for an empty one (empty), each with a 95%
--   interval, what a guess gives where one of several is picked (chance), own less the highest of
--   these floors (above_floors), mass_explained as in scores with its 95% interval, for comparison the value of the explanation that counting gives
--   (lexical): judged by counting, or by this judge where the scorer cannot be judged so; answers
--   asked for, of these failed and their share, how it was asked (judge_hash), and the explanation.
-- The metric of a scorer and the floors are those of scored_latents.
with scored as (
    select *
    from scored_latents
    where run = $run and hookpoint = $hookpoint
),

lexical as (
    select
        latent,
        selection,
        scorer,
        judge,
        judge_hash,
        min_by(score, explanation_id) as score
    from scored
    where explainer = 'lexical'
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
    own.shuffled,
    own.shuffled_low,
    own.shuffled_high,
    own.empty,
    own.empty_low,
    own.empty_high,
    case when own.metric = 'accuracy' then own.chance end as chance,
    own.score - greatest(
        own.floor,
        case when own.metric = 'accuracy' then own.chance end
    ) as above_floors,
    own.mass_explained,
    own.mass_explained_low,
    own.mass_explained_high,
    coalesce(counted.score, lexical.score) as lexical,
    own.n_answers as n_examples,
    own.n_failed,
    own.n_failed / own.n_answers as failed_share,
    own.judge_hash,
    own.explanation_id,
    own.explanation
from scored as own
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
order by
    own.latent,
    own.selection,
    own.explainer,
    own.explainer_model,
    own.scorer,
    own.judge,
    own.judge_hash,
    own.explanation_id;

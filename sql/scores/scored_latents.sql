-- How good is each explanation of a latent by every scorer, and what else is known of the latent?
-- Needs: the views kept_scores, explanations and latents, the macro metric_of.
-- Columns: see the table reference in README.md. A row an explanation and scorer, with its floors
--   beside it: what the same judge, asked in the same way, makes of another latent's explanation by the
--   same explainer (shuffled) and of an empty one (empty) on the same windows.
-- A scorer of one's own is read by what its answers are: picks, simulations, yes or no, numbers.
create or replace view scored_latents as
with judged as (
    select
        kept_scores.*,
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.explainer_model, 'none') as explainer_model,
        explanations.explanation,
        coalesce(
            metric_of(kept_scores.scorer),
            case
                when kept_scores.chance is not null then 'accuracy'
                when kept_scores.constant_simulation is not null then 'correlation'
                when kept_scores.accuracy is not null then 'balanced_accuracy'
                else 'auroc'
            end
        ) as metric,
        case metric
            when 'accuracy' then kept_scores.chance
            when 'correlation' then 0
            else 0.5
        end as chance_of_metric
    from kept_scores
    left join explanations
        on kept_scores.run = explanations.run
        and kept_scores.hookpoint = explanations.hookpoint
        and kept_scores.explanation_id = explanations.explanation_id
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
        run,
        hookpoint,
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
)

select
    own.run,
    own.hookpoint,
    own.latent,
    own.explainer,
    own.explainer_model,
    own.scorer,
    own.judge,
    own.explanation,
    own.metric,
    own.score,
    own.low,
    own.high,
    greatest(shuffled.floor.score, empty.score) as floor,
    own.chance_of_metric as chance,
    own.n_examples as n_answers,
    own.n_failed,
    own.selection,
    own.judge_hash,
    own.explanation_id,
    shuffled.floor.score as shuffled,
    shuffled.floor.low as shuffled_low,
    shuffled.floor.high as shuffled_high,
    empty.score as empty,
    empty.low as empty_low,
    empty.high as empty_high,
    own.precision,
    own.recall,
    own.f1,
    own.accuracy,
    own.balanced_accuracy,
    own.mass_found,
    own.mass_explained,
    own.mass_explained_low,
    own.mass_explained_high,
    own.auroc,
    own.correlation,
    latents.* exclude (run, hookpoint, latent, written_at)
from valued as own
left join shuffled
    on own.run = shuffled.run
    and own.hookpoint = shuffled.hookpoint
    and own.latent = shuffled.latent
    and own.explainer = shuffled.explainer
    and own.explainer_model = shuffled.explainer_model
    and own.selection = shuffled.selection
    and own.scorer = shuffled.scorer
    and own.judge = shuffled.judge
    and own.judge_hash = shuffled.judge_hash
left join valued as empty
    on own.run = empty.run
    and own.hookpoint = empty.hookpoint
    and own.latent = empty.latent
    and own.selection = empty.selection
    and own.scorer = empty.scorer
    and own.judge = empty.judge
    and own.judge_hash = empty.judge_hash
    and empty.control = 'empty'
left join latents
    on own.run = latents.run
    and own.hookpoint = latents.hookpoint
    and own.latent = latents.latent
where own.control = 'none';

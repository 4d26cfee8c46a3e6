-- Which explanation of a latent is its best?
-- Parameters of the macro: of_run, of_hookpoint, from_latent, to_latent (half open); by_scorer and
--   by_metric (the score that decides); of_judge (the judge that decides where there are several;
--   null: the first by its name); of_selection, of_explainer, of_model (only explanations of these;
--   null: of all).
-- Needs: the views explanations and kept_scores.
-- Columns: latent, explanation_id, selection, explainer, explainer_model, explanation, written_at, score (null
--   where it was not judged by that scorer), n_explanations to choose from. A row a latent that has
--   an explanation.
-- The best is the one with the highest score; those without a score come last, and of equal ones the
--   first by selection, explainer, explainer_model and explanation_id wins.
create or replace macro best_explanations(
    of_run,
    of_hookpoint,
    from_latent,
    to_latent,
    by_scorer,
    by_metric,
    of_judge,
    of_selection,
    of_explainer,
    of_model
) as table
with judged as (
    select
        explanation_id,
        latent,
        selection,
        -- The last digits of a sum depend on the order of its parts.
        round(
            case by_metric
                when 'balanced_accuracy' then balanced_accuracy
                when 'mass_explained' then mass_explained
                when 'auroc' then auroc
                when 'auprc' then auprc
                when 'f1' then f1
                when 'accuracy' then accuracy
                when 'correlation' then correlation
            end,
            12
        ) as score
    from kept_scores
    where
        run = of_run
        and hookpoint = of_hookpoint
        and latent >= from_latent
        and latent < to_latent
        and scorer = by_scorer
        and control = 'none'
    qualify lag(judge) over (
        partition by explanation_id, latent, selection
        order by coalesce(judge = of_judge::varchar, false) desc, judge, judge_hash
    ) is null
)

select
    explanations.latent,
    explanations.explanation_id,
    explanations.selection,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation,
    explanations.written_at,
    judged.score,
    count(*) over (partition by explanations.latent) as n_explanations
from explanations
left join judged
    on explanations.explanation_id = judged.explanation_id
    and explanations.latent = judged.latent
    and explanations.selection = judged.selection
where
    explanations.run = of_run
    and explanations.hookpoint = of_hookpoint
    and explanations.latent >= from_latent
    and explanations.latent < to_latent
    and explanations.explanation is not null
    and coalesce(explanations.chosen, true)
    and (of_selection::varchar is null or explanations.selection = of_selection::varchar)
    and (of_explainer::varchar is null or explanations.explainer = of_explainer::varchar)
    and (of_model::varchar is null or explanations.explainer_model = of_model::varchar)
qualify lag(explanations.explanation_id) over (
    partition by explanations.latent
    order by
        judged.score desc nulls last,
        explanations.selection,
        explanations.explainer,
        explanations.explainer_model,
        explanations.explanation_id
) is null;

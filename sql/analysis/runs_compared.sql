-- What changed between two runs with the same coder?
-- Parameters: $run, $other_run, $hookpoint (the same in both), $scorer (one that says yes or no, such
--   as detection), $n_rows (most rows shown).
-- Columns: latent, explainer, explainer_model, selection and judge; the score of its explanation in each run
--   (balanced accuracy), what the other run gained, both texts and whether they differ, and how
--   often the latent fires in each. A row for what either run has: the side without it is null. Of
--   several explanations or ways to ask (judge_hash) the last written counts. The largest changes
--   come first, then changed texts.
with texts as (
    select
        run,
        latent,
        explainer,
        explainer_model,
        selection,
        explanation_id,
        explanation
    from explanations
    where
        run in ($run, $other_run)
        and hookpoint = $hookpoint
        and explanation is not null
        and coalesce(chosen, true)
    qualify lag(written_at) over (
        partition by run, latent, explainer, explainer_model, selection
        order by coalesce(generation, 0) desc, written_at desc, explanation_id
    ) is null
),

asked_last as (
    select
        run,
        explanation_id,
        latent,
        selection,
        judge,
        max_by(judge_hash, (coalesce(generation, 0), written_at, judge_hash)) as judge_hash
    from predictions
    where
        run in ($run, $other_run)
        and hookpoint = $hookpoint
        and scorer = $scorer
        and control = 'none'
    group by all
),

judged as (
    select
        kept_scores.run,
        kept_scores.explanation_id,
        kept_scores.judge,
        kept_scores.balanced_accuracy as score
    from kept_scores
    inner join asked_last
        using (run, explanation_id, latent, selection, judge, judge_hash)
    where
        kept_scores.hookpoint = $hookpoint
        and kept_scores.scorer = $scorer
        and kept_scores.control = 'none'
),

described as (
    select
        texts.*,
        judged.judge,
        judged.score
    from texts
    left join judged
        using (run, explanation_id)
),

sides as (
    select
        coalesce(one.latent, other.latent) as latent,
        coalesce(one.explainer, other.explainer) as explainer,
        coalesce(one.explainer_model, other.explainer_model) as explainer_model,
        coalesce(one.selection, other.selection) as selection,
        coalesce(one.judge, other.judge) as judge,
        one.score,
        other.score as other_score,
        one.explanation,
        other.explanation as other_explanation
    from (select * from described where run = $run) as one
    full join (select * from described where run = $other_run) as other
        on one.latent = other.latent
        and one.explainer = other.explainer
        and one.explainer_model = other.explainer_model
        and one.selection = other.selection
        and one.judge is not distinct from other.judge
)

select
    sides.latent,
    sides.explainer,
    sides.explainer_model,
    sides.selection,
    sides.judge,
    sides.score,
    sides.other_score,
    sides.other_score - sides.score as gained,
    sides.explanation is distinct from sides.other_explanation as changed,
    sides.explanation,
    sides.other_explanation,
    one.n_activations,
    other.n_activations as other_n_activations
from sides
left join latents as one
    on one.run = $run
    and one.hookpoint = $hookpoint
    and sides.latent = one.latent
left join latents as other
    on other.run = $other_run
    and other.hookpoint = $hookpoint
    and sides.latent = other.latent
order by
    abs(sides.other_score - sides.score) desc nulls last,
    changed desc,
    sides.latent,
    sides.explainer,
    sides.explainer_model,
    sides.selection,
    sides.judge
limit $n_rows;

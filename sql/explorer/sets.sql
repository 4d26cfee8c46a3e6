-- Which sets of explanations does a hookpoint have: by whom, from which selection?
-- Parameters: $run, $hookpoint. Needs: the views explanations and kept_scores.
-- Columns: selection, explainer, explainer_model, n_latents (with an explanation that did not fail); the
--   largest first. A selection in which latents were judged without explanation only is a set of
--   explainer none.
with explained as (
    select
        selection,
        explainer,
        explainer_model,
        count(distinct latent) filter (explanation is not null) as n_latents
    from explanations
    where run = $run and hookpoint = $hookpoint and coalesce(chosen, true)
    group by selection, explainer, explainer_model
),

bare as (
    select distinct
        kept_scores.selection,
        'none' as explainer,
        'none' as explainer_model,
        0 as n_latents
    from kept_scores
    anti join explained
        on kept_scores.selection = explained.selection
    where kept_scores.run = $run and kept_scores.hookpoint = $hookpoint
)

select selection, explainer, explainer_model, n_latents from explained
union all
select selection, explainer, explainer_model, n_latents from bare
order by n_latents desc, selection, explainer, explainer_model;

-- Which latents need no LLM, by which route, and does their label score as well as an LLM's?
-- Parameters: $run, $hookpoint, $selection, $scorer.
-- Columns: explainer; route (dense, position, token, word; asked: an LLM wrote it; dead: it never
--   fires, and nobody is asked), latents (n_latents), their share of the latents of the hookpoint; tokens_saved:
--   latents times the mean of the tokens that the explainer's LLM took a latent (null where none was
--   asked); latents scored (n_scored) and the mean of their scores (own), with another latent's explanation
--   (shuffled); then, of latents that have a label of this route and one by the LLM, judged alike,
--   their number (n_both), and the two means (label, by_llm).
-- A latent counts once a route, with the mean over judges and ways to ask.
with written as (
    select
        latent,
        explanation_id,
        explainer,
        coalesce(route, 'asked') as route,
        prompt_tokens + completion_tokens as tokens
    from explanations
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and explanation is not null
        and coalesce(chosen, true)
        and (route is not null or request is not null)
),

asked as (
    select
        explainer,
        avg(tokens) as tokens
    from written
    where route = 'asked'
    group by explainer
),

judged as (
    select
        explanation_id,
        judge,
        judge_hash,
        score,
        shuffled
    from scored_latents
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and scorer = $scorer
        and score is not null
),

scored as (
    select
        written.latent,
        written.explainer,
        written.route,
        avg(judged.score) as score,
        avg(judged.shuffled) as shuffled
    from written
    inner join judged
        on written.explanation_id = judged.explanation_id
    group by written.latent, written.explainer, written.route
),

paired as (
    select
        label.explainer,
        label.route,
        count(distinct label.latent) as n_both,
        avg(of_label.score) as label,
        avg(of_llm.score) as by_llm
    from written as label
    inner join written as llm
        on label.latent = llm.latent
        and label.explainer = llm.explainer
        and llm.route = 'asked'
    inner join judged as of_label
        on label.explanation_id = of_label.explanation_id
    inner join judged as of_llm
        on llm.explanation_id = of_llm.explanation_id
        and of_label.judge = of_llm.judge
        and of_label.judge_hash = of_llm.judge_hash
    where label.route <> 'asked'
    group by label.explainer, label.route
),

counted as (
    select
        explainer,
        route,
        count(distinct latent) as n_latents
    from written
    group by explainer, route
    union all
    select
        null as explainer,
        'dead' as route,
        count(*) as n_latents
    from latents
    where run = $run and hookpoint = $hookpoint and reason = 'dead'
    having count(*) > 0
),

means as (
    select
        explainer,
        route,
        count(*) as n_scored,
        avg(score) as own,
        avg(shuffled) as shuffled
    from scored
    group by explainer, route
)

select
    counted.explainer,
    counted.route,
    counted.n_latents,
    counted.n_latents / (
        select count(*) from latents where run = $run and hookpoint = $hookpoint
    ) as share,
    if(
        counted.route in ('asked', 'dead'), null, round(counted.n_latents * asked.tokens)
    )::bigint as tokens_saved,
    coalesce(means.n_scored, 0) as n_scored,
    means.own,
    means.shuffled,
    coalesce(paired.n_both, 0) as n_both,
    paired.label,
    paired.by_llm
from counted
left join asked
    on counted.explainer = asked.explainer
left join means
    on counted.explainer = means.explainer
    and counted.route = means.route
left join paired
    on counted.explainer = paired.explainer
    and counted.route = paired.route
order by counted.explainer nulls last, counted.n_latents desc, counted.route;

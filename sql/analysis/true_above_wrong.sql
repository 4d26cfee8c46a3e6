-- How often is the true description of a planted latent scored above one that is wrong in a known way?
-- Parameters: $run, $hookpoint (of a planted run, whose descriptions were scored as explanations).
-- Columns: scorer, judge and how it was asked (judge_hash), selection, metric, relation (how the other
--   description is wrong), kind of predicate (null: all kinds), latents for which both have a score,
--   share of them whose true one is higher (ties count half; several of a relation count as their
--   mean) with Wilson's 95% interval, and the mean by which it is higher with its 95% interval
--   (Student's, over latents; null with fewer than three). Latents that fire at random have no true
--   description and are left out.
with described as (
    select
        scored.scorer,
        scored.judge,
        scored.judge_hash,
        scored.selection,
        scored.metric,
        scored.latent,
        scored.score,
        scored.empty,
        planted.kind,
        planted.relation
    from scored_latents as scored
    inner join planted
        on planted.run = $run
        and planted.hookpoint = $hookpoint
        and scored.latent = planted.latent
        and scored.explanation = planted.text
    where
        scored.run = $run
        and scored.hookpoint = $hookpoint
        and scored.score is not null
        and planted.kind <> 'random'
),

-- The empty text is no explanation of its own: it is the floor of the true one.
wrong as (
    select * exclude (empty)
    from described
    where relation <> 'true'
    union all
    select * exclude (empty) replace (empty as score, 'empty' as relation)
    from described
    where relation = 'true' and empty is not null
),

pairs as (
    select
        own.scorer,
        own.judge,
        own.judge_hash,
        own.selection,
        own.metric,
        wrong.relation,
        own.kind,
        own.latent,
        avg((own.score > wrong.score)::int + (own.score = wrong.score)::int / 2) as is_higher,
        avg(own.score - wrong.score) as higher_by
    from described as own
    inner join wrong
        on own.scorer = wrong.scorer
        and own.judge = wrong.judge
        and own.judge_hash = wrong.judge_hash
        and own.selection = wrong.selection
        and own.metric = wrong.metric
        and own.latent = wrong.latent
    where own.relation = 'true'
    group by all
),

compared as (
    select
        scorer,
        judge,
        judge_hash,
        selection,
        metric,
        relation,
        kind,
        count(*) as n_latents,
        avg(is_higher) as share,
        avg(higher_by) as higher_by,
        case
            when n_latents > 2
                then student95(n_latents - 1) * stddev_samp(higher_by) / sqrt(n_latents)
        end as reach
    from pairs
    group by
        grouping sets (
            (scorer, judge, judge_hash, selection, metric, relation),
            (scorer, judge, judge_hash, selection, metric, relation, kind)
        )
)

select
    scorer,
    judge,
    judge_hash,
    selection,
    metric,
    relation,
    kind,
    n_latents,
    share,
    wilson(share, n_latents).low as share_low,
    wilson(share, n_latents).high as share_high,
    higher_by,
    higher_by - reach as higher_by_low,
    higher_by + reach as higher_by_high
from compared
order by scorer, judge, judge_hash, selection, metric, relation, kind nulls first;

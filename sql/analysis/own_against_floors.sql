-- Do explanations predict their own latent better than another latent's explanation, or none, does?
-- Parameters: $run, $hookpoint, $most_tokens (only latents with 80% of their activation mass on
--   this many distinct tokens or fewer; null is all).
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), metric, latents
--   for which it is defined, its mean over them (own); then, for the shuffled and for the empty
--   explanation: latents that have both, the floor's mean over these, and the mean of own minus
--   floor with a 95% interval (Student's, of the differences paired by latent, of latents and of
--   documents drawn at random as in hookpoint_scores; null with fewer than three). The empty
--   explanation has no explainer: it is the floor of all.
with defined as (
    select scored.*
    from scores_of_latents($run, $hookpoint) as scored
    inner join latents
        on latents.run = $run
        and latents.hookpoint = $hookpoint
        and scored.latent = latents.latent
    where
        scored.score is not null
        and latents.n_tokens_80 <= coalesce($most_tokens, latents.n_tokens_80)
),

compared as (
    select
        own.* exclude (control, constant, n_examples, n_failed),
        shuffled.score as shuffled,
        own.score - shuffled.score as above_shuffled,
        empty.score as empty,
        own.score - empty.score as above_empty
    from defined as own
    left join defined as shuffled
        on own.explainer = shuffled.explainer
        and own.explainer_model = shuffled.explainer_model
        and own.selection = shuffled.selection
        and own.scorer = shuffled.scorer
        and own.judge = shuffled.judge
        and own.judge_hash = shuffled.judge_hash
        and own.metric = shuffled.metric
        and own.latent = shuffled.latent
        and shuffled.control = 'shuffled'
    left join defined as empty
        on own.selection = empty.selection
        and own.scorer = empty.scorer
        and own.judge = empty.judge
        and own.judge_hash = empty.judge_hash
        and own.metric = empty.metric
        and own.latent = empty.latent
        and empty.control = 'empty'
    where own.control = 'none'
),

-- What is compared has a number, as seven texts for each document took most of the memory.
pairs as materialized (
    select
        *,
        row_number() over () as pair
    from compared
),

moved as (
    select
        pairs.pair,
        influences.document,
        sum(influences.influence) filter (influences.control = 'none') as own,
        sum(influences.influence) filter (influences.control = 'shuffled') as shuffled,
        sum(influences.influence) filter (influences.control = 'empty') as empty
    from document_influences($run, $hookpoint) as influences
    inner join pairs
        on influences.selection = pairs.selection
        and influences.scorer = pairs.scorer
        and influences.judge = pairs.judge
        and influences.judge_hash = pairs.judge_hash
        and influences.metric = pairs.metric
        and influences.latent = pairs.latent
        and (
            influences.control = 'empty'
            or (
                influences.explainer = pairs.explainer
                and influences.explainer_model = pairs.explainer_model
            )
        )
    group by pairs.pair, influences.document
),

-- What a document adds to the own score, and takes away by adding to the floor's.
added as (
    select
        pairs.* exclude (pair, latent, score, shuffled, above_shuffled, empty, above_empty),
        moved.document,
        case
            when pairs.above_shuffled is not null and coalesce(moved.own, moved.shuffled) is not null
                then coalesce(moved.own, 0) - coalesce(moved.shuffled, 0)
        end as to_shuffled,
        case
            when pairs.above_empty is not null and coalesce(moved.own, moved.empty) is not null
                then coalesce(moved.own, 0) - coalesce(moved.empty, 0)
        end as to_empty
    from moved
    inner join pairs
        on moved.pair = pairs.pair
),

by_document as (
    select
        * exclude (to_shuffled, to_empty),
        sum(to_shuffled) as shuffled,
        sum(to_shuffled ** 2) as shuffled_alone,
        sum(to_empty) as empty,
        sum(to_empty ** 2) as empty_alone
    from added
    group by all
),

documents as (
    select
        * exclude (document, shuffled, shuffled_alone, empty, empty_alone),
        count(shuffled) as n_shuffled_documents,
        beyond_rounding(sum(shuffled ** 2 - shuffled_alone), sum(shuffled_alone))
            as shared_shuffled,
        count(empty) as n_empty_documents,
        beyond_rounding(sum(empty ** 2 - empty_alone), sum(empty_alone)) as shared_empty
    from by_document
    group by all
),

means as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        metric,
        count(*) as n_latents,
        avg(score) as own,
        count(shuffled) as n_shuffled,
        avg(shuffled) as shuffled,
        avg(above_shuffled) as above_shuffled,
        stddev_samp(above_shuffled) / sqrt(count(shuffled)) as error_shuffled,
        count(empty) as n_empty,
        avg(empty) as empty,
        avg(above_empty) as above_empty,
        stddev_samp(above_empty) / sqrt(count(empty)) as error_empty
    from compared
    group by all
),

intervals as (
    select
        means.*,
        student95(
            case
                when documents.shared_shuffled > 0
                    then least(means.n_shuffled, documents.n_shuffled_documents)
                else means.n_shuffled
            end - 1
        ) * sqrt(
            means.error_shuffled ** 2
            + coalesce(documents.shared_shuffled / nullif(means.n_shuffled, 0) ** 2, 0)
        ) as half_shuffled,
        student95(
            case
                when documents.shared_empty > 0
                    then least(means.n_empty, documents.n_empty_documents)
                else means.n_empty
            end - 1
        ) * sqrt(
            means.error_empty ** 2
            + coalesce(documents.shared_empty / nullif(means.n_empty, 0) ** 2, 0)
        ) as half_empty
    from means
    left join documents
        using (explainer, explainer_model, selection, scorer, judge, judge_hash, metric)
)

select
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    metric,
    n_latents,
    own,
    n_shuffled,
    shuffled,
    above_shuffled,
    above_shuffled - half_shuffled as above_shuffled_low,
    above_shuffled + half_shuffled as above_shuffled_high,
    n_empty,
    empty,
    above_empty,
    above_empty - half_empty as above_empty_low,
    above_empty + half_empty as above_empty_high
from intervals
order by explainer, explainer_model, selection, scorer, judge, judge_hash, metric;

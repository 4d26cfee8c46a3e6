-- How good are the explanations of a hookpoint?
-- Parameters: $run, $hookpoint.
-- Columns: explainer, selection, scorer, judge and how it was asked (judge_hash), control; answers
--   asked for (n_examples), of these failed (n_failed) and their share; metric (null where none is
--   defined); latents for which it is defined (n_latents), of these such whose simulation is the
--   same on every token, which counts as a correlation of 0 (n_constant), and judged latents for
--   which it is not (n_undefined): all answers failed, or none was yes, for precision. Then the
--   metric's mean over n_latents, and its mean weighted by how often a latent fires (n_activations),
--   each with a 95% interval; the documents that the windows are of (n_documents). A latent with several explanations counts once, with their mean.
-- The intervals are of latents and of documents drawn at random (Cameron, Gelbach and Miller 2011; see
--   sql/scores/document_influences.sql), with Student's quantile of the fewer of both. The variance of
--   the weighted mean is that of a ratio (Cochran 1977, 6.8), with as many degrees of freedom as the
--   effective sample size (Kish 1965) less one. Null below two degrees of freedom. Where documents are
--   not known, as after an import, the intervals take the corpus as fixed (n_documents is 0).
with weighed as (
    select
        scored.*,
        case when scored.score is not null then latents.n_activations end as n_activations
    from scores_of_latents($run, $hookpoint) as scored
    left join latents
        on latents.run = $run
        and latents.hookpoint = $hookpoint
        and scored.latent = latents.latent
),

by_document as (
    select
        influences.* exclude (latent, document, influence),
        influences.document,
        sum(influences.influence) as moved,
        sum(influences.influence ** 2) as moved_alone,
        sum(influences.influence * weighed.n_activations) as weighted,
        sum((influences.influence * weighed.n_activations) ** 2) as weighted_alone
    from document_influences($run, $hookpoint) as influences
    inner join weighed
        using (
            explainer, explainer_model, selection, scorer, judge, judge_hash, control, metric, latent
        )
    where weighed.score is not null
    group by all
),

documents as (
    select
        * exclude (document, moved, moved_alone, weighted, weighted_alone),
        count(*) as n_documents,
        beyond_rounding(sum(moved ** 2 - moved_alone), sum(moved_alone)) as shared,
        beyond_rounding(sum(weighted ** 2 - weighted_alone), sum(weighted_alone))
            as weighted_shared
    from by_document
    group by all
),

sums as (
    select
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        metric,
        sum(n_examples)::bigint as n_examples,
        sum(n_failed)::bigint as n_failed,
        count(score) as n_latents,
        count(*) filter (constant) as n_constant,
        count(*) - count(score) as n_undefined,
        avg(score) as mean,
        coalesce(stddev_samp(score), 0) / sqrt(nullif(count(score), 0)) as mean_error,
        sum(n_activations) as weight,
        sum(n_activations::double ** 2) as squares,
        sum(n_activations * score) / nullif(weight, 0) as weighted_mean,
        sum(n_activations::double ** 2 * score) as squares_score,
        sum(n_activations::double ** 2 * score ** 2) as squares_score_2
    from weighed
    group by all
),

errors as (
    select
        *,
        coalesce(documents.n_documents, 0) as n_documents_known,
        case
            when documents.shared > 0 then least(n_latents, documents.n_documents)
            else n_latents
        end as n_fewer,
        student95(n_fewer - 1)
        * sqrt(mean_error ** 2 + coalesce(documents.shared, 0) / nullif(n_latents, 0) ** 2) as half,
        student95(least(n_fewer, weight ** 2 / nullif(squares, 0)) - 1) * sqrt(
            n_latents / nullif(n_latents - 1, 0)
            * greatest(
                0,
                squares_score_2
                - 2 * weighted_mean * squares_score
                + weighted_mean ** 2 * squares
            )
            + coalesce(documents.weighted_shared, 0)
        ) / nullif(weight, 0) as weighted_half
    from sums
    left join documents
        using (explainer, explainer_model, selection, scorer, judge, judge_hash, control, metric)
    -- Where no metric is defined, a row is left to say so.
    qualify
        n_latents > 0
        or row_number() over (
            partition by explainer, explainer_model, selection, scorer, judge, judge_hash, control
            order by n_latents desc, metric
        ) = 1
)

select
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    n_examples,
    n_failed,
    n_failed / n_examples as failed_share,
    case when n_latents > 0 then metric end as metric,
    n_latents,
    n_constant,
    n_undefined,
    n_documents_known as n_documents,
    mean,
    mean - half as mean_low,
    mean + half as mean_high,
    weighted_mean,
    weighted_mean - weighted_half as weighted_mean_low,
    weighted_mean + weighted_half as weighted_mean_high
from errors
order by
    explainer,
    explainer_model,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    metric;

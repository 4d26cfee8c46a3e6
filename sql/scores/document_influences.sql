-- How much does each document of the corpus move the score of each latent?
-- Parameters: of_run, of_hookpoint.
-- Needs: the views predictions, examples, contexts and explanations.
-- Columns: explainer, explainer_model, selection, scorer, judge, judge_hash, control, metric and latent
--   as in scores_of_latents; document (its id; of a window, the one in which it begins), and influence:
--   what the latent's answers about its windows add to the score, less what an answer about a true, or
--   a false, window adds on average: how many there are of both is given. The influences of a latent
--   add up to 0. No row where the document is not known.
-- What they are for: latents are judged on windows of the same documents, so their scores move
--   together. The variance of a mean over latents then has, beside that between latents, the products
--   of influences of different latents in one document: clustering by latent and by document, less
--   what both count (Cameron, Gelbach and Miller 2011).
-- Of rates, an influence is the derivative in the counts; of AUROC, the share of pairs won (DeLong
--   1988); of AUPRC, what leaving the answer out changes, as in `scores.sql`; of the correlation, what
--   a window adds to it (Devlin, Gnanadesikan and Kettenring 1975).
create or replace macro document_influences(of_run, of_hookpoint) as table
with length as (
    select len(tokens) as n_tokens
    from contexts
    where run = of_run
    limit 1
),

-- Materialized, so that the join below is one of equal numbers: else every window is held against
-- every context.
shown as materialized (
    select
        examples.selection,
        examples.latent,
        examples.example,
        examples.activations,
        examples.position // length.n_tokens as context,
        examples.position % length.n_tokens as place
    from examples
    cross join length
    where examples.run = of_run and examples.hookpoint = of_hookpoint and examples.split = 'test'
),

places as (
    select
        shown.selection,
        shown.latent,
        shown.example,
        shown.activations,
        contexts.document_ids[
            greatest(
                1,
                len(list_filter(contexts.document_starts, lambda start: start <= shown.place))
            )
        ] as document
    from shown
    inner join contexts
        on contexts.run = of_run and shown.context = contexts.context
),

answered as (
    select
        predictions.explanation_id,
        predictions.latent,
        predictions.selection,
        predictions.scorer,
        predictions.model,
        predictions.judge_hash,
        predictions.control,
        predictions.truth,
        predictions.prediction,
        coalesce(predictions.probability, predictions.value) as answer,
        predictions.simulated::double[] as xs,
        places.activations::double[] as ys,
        places.document
    from predictions
    left join places
        on predictions.selection = places.selection
        and predictions.latent = places.latent
        and predictions.example = places.example
    where
        predictions.run = of_run
        and predictions.hookpoint = of_hookpoint
        and predictions.failure is null
),

verdicts as (
    select
        *,
        count(*) filter (truth and prediction) over subject as true_positives,
        count(*) filter (not truth and prediction) over subject as false_positives,
        count(*) filter (truth and not prediction) over subject as false_negatives,
        count(*) filter (not truth and not prediction) over subject as true_negatives,
        count(*) filter (truth) over subject as n_true,
        count(*) filter (not truth) over subject as n_false,
        count(answer) over subject = count(*) over subject as is_ranked,
        count(*) filter (truth) over above as true_above,
        count(*) filter (not truth) over above as false_above,
        count(*) filter (truth) over tied as true_tied,
        count(*) filter (not truth) over tied as false_tied
    from answered
    where xs is null
    window
        subject as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
        ),
        above as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
            order by answer desc nulls last
        ),
        tied as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
            order by answer desc nulls last
            range between current row and current row
        )
),

ranked as (
    select
        *,
        true_positives / nullif(true_positives + false_negatives, 0) as recall,
        true_negatives / nullif(true_negatives + false_positives, 0) as specificity,
        true_positives / nullif(true_positives + false_positives, 0) as precision,
        2 * true_positives
        / nullif(2 * true_positives + false_positives + false_negatives, 0) as f1,
        (true_positives + true_negatives)
        / nullif(true_positives + false_negatives + true_negatives + false_positives, 0) as accuracy,
        -- Of a true answer the false ones it beats, of a false one the true ones that beat it.
        case
            when not is_ranked then null
            when truth then (n_false - false_above + false_tied / 2) / nullif(n_false, 0) / n_true
            else (true_above - true_tied / 2) / nullif(n_true, 0) / n_false
        end as won,
        sum(case when truth then true_above / (true_above + false_above) end) over above
        - true_tied * true_above / (true_above + false_above) as parts_above,
        sum(
            case
                when truth
                    then coalesce((true_above - 1) / nullif(true_above + false_above - 1, 0), 0)
            end
        ) over above as without_true,
        sum(
            case
                when truth then coalesce(true_above / nullif(true_above + false_above - 1, 0), 0)
            end
        ) over above as without_false
    from verdicts
    window
        above as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
            order by answer desc nulls last
        )
),

left_out as (
    select
        *,
        case
            when not is_ranked or n_true = 0 or n_false = 0 then null
            when truth
                then -(
                    coalesce(parts_above, 0)
                    + (true_tied - 1)
                    * coalesce((true_above - 1) / nullif(true_above + false_above - 1, 0), 0)
                    - without_true
                ) / n_true
            else -(
                coalesce(parts_above, 0)
                + true_tied * coalesce(true_above / nullif(true_above + false_above - 1, 0), 0)
                - coalesce(without_false, 0)
            ) * (n_false - 1) / n_false / n_true
        end as gained
    from ranked
),

influences as (
    select
        explanation_id,
        latent,
        selection,
        scorer,
        model,
        judge_hash,
        control,
        truth,
        document,
        case
            when precision is null then null
            when prediction then (truth::int - precision) / (true_positives + false_positives)
            else 0
        end as precision,
        case
            when truth then (prediction::int - recall) / (true_positives + false_negatives)
            when recall is not null then 0
        end as recall,
        case
            when not truth
                then ((not prediction)::int - specificity) / (true_negatives + false_positives)
            when specificity is not null then 0
        end as specificity,
        (
            2 * (truth and prediction)::int
            - f1 * ((truth and prediction)::int + (truth or prediction)::int)
        ) / (2 * true_positives + false_positives + false_negatives) as f1,
        ((prediction = truth)::int - accuracy)
        / (true_positives + false_negatives + true_negatives + false_positives) as accuracy,
        won as auroc,
        gained as auprc
    from left_out
),

centred as (
    select
        * exclude (truth) replace (
            precision - avg(precision) over of_truth as precision,
            f1 - avg(f1) over of_truth as f1,
            accuracy - avg(accuracy) over of_truth as accuracy,
            auroc - avg(auroc) over of_truth as auroc,
            auprc - avg(auprc) over of_truth as auprc
        ),
        null::double as correlation
    from influences
    window
        of_truth as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control, truth
        )
),

windows as (
    select
        *,
        len(xs) as n,
        list_sum(xs) as x,
        list_sum(ys) as y,
        sum(list_sum(xs)) over subject / sum(len(xs)) over subject as mean_x,
        sum(list_sum(ys)) over subject / sum(len(ys)) over subject as mean_y
    from answered
    where len(xs) = len(ys)
    window
        subject as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
        )
),

products as (
    select
        *,
        list_inner_product(xs, xs) - 2 * mean_x * x + n * mean_x ** 2 as xx,
        list_inner_product(ys, ys) - 2 * mean_y * y + n * mean_y ** 2 as yy,
        list_inner_product(xs, ys) - mean_x * y - mean_y * x + n * mean_x * mean_y as xy
    from windows
),

sums as (
    select
        *,
        nullif(sum(xx) over subject, 0) as sum_xx,
        nullif(sum(yy) over subject, 0) as sum_yy,
        sum(xy) over subject as sum_xy
    from products
    window
        subject as (
            partition by
                explanation_id, latent, selection, scorer, model, judge_hash, control
        )
),

followed as (
    select
        explanation_id,
        latent,
        selection,
        scorer,
        model,
        judge_hash,
        control,
        document,
        (
            xy - sum_xy / 2 * (xx / sum_xx + yy / sum_yy)
        ) / sqrt(sum_xx * sum_yy) as correlation
    from sums
),

by_document as (
    select
        * exclude (
            precision, recall, specificity, f1, accuracy, auroc, auprc, correlation
        ),
        sum(precision) as precision,
        sum(recall) as recall,
        sum(specificity) as specificity,
        sum(f1) as f1,
        sum(accuracy) as accuracy,
        (sum(recall) + sum(specificity)) / 2 as balanced_accuracy,
        sum(auroc) as auroc,
        sum(auprc) as auprc,
        sum(correlation) as correlation
    from (select * from centred union all by name select * from followed)
    where document is not null
    group by all
),

metrics as (
    from by_document
    unpivot (
        influence for metric in (
            precision,
            recall,
            specificity,
            f1,
            accuracy,
            balanced_accuracy,
            auroc,
            auprc,
            correlation
        )
    )
),

-- A latent with several explanations counts once, with their mean.
counted as (
    select
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.model, 'none') as explainer_model,
        metrics.selection,
        metrics.scorer,
        metrics.model as judge,
        metrics.judge_hash,
        metrics.control,
        metrics.metric,
        metrics.latent,
        metrics.document,
        metrics.influence,
        metrics.explanation_id
    from metrics
    left join explanations
        on explanations.run = of_run
        and explanations.hookpoint = of_hookpoint
        and metrics.explanation_id = explanations.explanation_id
)

select
    * exclude (influence, explanation_id),
    sum(influence) / any_value(n_explanations) as influence
from (
    select
        *,
        count(distinct explanation_id) over (
            partition by
                explainer, explainer_model, selection, scorer, judge, judge_hash, control, metric,
                latent
        ) as n_explanations
    from counted
)
group by all;

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
-- Of rates, an influence is the derivative in the counts; of mass_found, in what a window stands for; of AUROC, the share of pairs won (DeLong
--   1988); of AUPRC, what leaving the answer out changes, as in `scores.sql`; of the correlation, what
--   a window adds to it (Devlin, Gnanadesikan and Kettenring 1975).
-- What a score is of (an explanation, the latent it is judged on, the selection, scorer, judge, way to
--   ask and control) has a number, `subject`, as seven texts to group by took most of the time. Ties
--   are counted as in `scores.sql`.
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
        drawn_mass(examples.activations, examples.n_in_bin, examples.source) as mass,
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
        shown.mass,
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

asked as materialized (
    select
        explanation_id,
        latent,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        example,
        quantile,
        truth,
        prediction,
        chance,
        coalesce(probability, value) as answer,
        simulated
    from predictions
    where run = of_run and hookpoint = of_hookpoint and failure is null
),

subjects as materialized (
    select
        *,
        row_number() over () as subject
    from (
        select distinct
            explanation_id,
            latent,
            selection,
            scorer,
            judge,
            judge_hash,
            control
        from asked
    )
),

answered as materialized (
    select
        subjects.subject,
        asked.truth,
        asked.prediction,
        asked.answer,
        asked.simulated::double[] as xs,
        places.activations::double[] as ys,
        case
            when asked.truth and asked.prediction is not null and asked.chance is null
                then places.mass
        end as drawn,
        drawn / count(drawn) over (partition by subjects.subject, asked.quantile) as mass,
        places.document
    from asked
    inner join subjects
        using (explanation_id, latent, selection, scorer, judge, judge_hash, control)
    left join places
        on asked.selection = places.selection
        and asked.latent = places.latent
        and asked.example = places.example
),

rates as materialized (
    select
        subject,
        count(*) filter (truth and prediction) as true_positives,
        count(*) filter (not truth and prediction) as false_positives,
        count(*) filter (truth and not prediction) as false_negatives,
        count(*) filter (not truth and not prediction) as true_negatives,
        count(*) filter (truth) as n_true,
        count(*) filter (not truth) as n_false,
        count(answer) = count(*) as is_ranked,
        nullif(sum(mass), 0) as masses,
        coalesce(sum(mass) filter (prediction), 0) / masses as mass_found,
        true_positives / nullif(true_positives + false_negatives, 0) as recall,
        true_negatives / nullif(true_negatives + false_positives, 0) as specificity,
        true_positives / nullif(true_positives + false_positives, 0) as precision,
        2 * true_positives
        / nullif(2 * true_positives + false_positives + false_negatives, 0) as f1,
        (true_positives + true_negatives)
        / nullif(true_positives + false_negatives + true_negatives + false_positives, 0) as accuracy
    from answered
    where xs is null
    group by subject
),

ties as (
    select
        answered.subject,
        answered.answer,
        count(*) filter (answered.truth)::double as true_tied,
        count(*) filter (not answered.truth)::double as false_tied,
        any_value(rates.n_true) as n_true,
        any_value(rates.n_false) as n_false
    from answered
    inner join rates
        on answered.subject = rates.subject
    where answered.xs is null and rates.is_ranked
    group by answered.subject, answered.answer
),

descending as (
    select
        *,
        sum(true_tied) over above as true_above,
        sum(false_tied) over above as false_above
    from ties
    window above as (partition by subject order by answer desc)
),

jackknife as (
    select
        *,
        true_above / (true_above + false_above) as part,
        coalesce((true_above - 1) / nullif(true_above + false_above - 1, 0), 0) as part_less_true,
        coalesce(true_above / nullif(true_above + false_above - 1, 0), 0) as part_less_false,
        sum(true_tied * part) over above - true_tied * part as parts_above,
        sum(true_tied * part_less_true) over above as without_true,
        sum(true_tied * part_less_false) over above as without_false
    from descending
    window above as (partition by subject order by answer desc)
),

ranked as (
    select
        subject,
        answer,
        -- Of a true answer the false ones it beats, of a false one the true ones that beat it.
        (n_false - false_above + false_tied / 2) / nullif(n_false, 0) / n_true as true_won,
        (true_above - true_tied / 2) / nullif(n_true, 0) / n_false as false_won,
        case
            when n_true > 0 and n_false > 0
                then -(parts_above + (true_tied - 1) * part_less_true - without_true) / n_true
        end as true_gained,
        case
            when n_true > 0 and n_false > 0
                then -(parts_above + true_tied * part_less_false - without_false)
                * (n_false - 1) / n_false / n_true
        end as false_gained
    from jackknife
),

influences as materialized (
    select
        answered.subject,
        answered.truth,
        answered.document,
        case
            when rates.precision is null then null
            when answered.prediction
                then (answered.truth::int - rates.precision)
                / (rates.true_positives + rates.false_positives)
            else 0
        end as precision,
        case
            when answered.truth
                then (answered.prediction::int - rates.recall)
                / (rates.true_positives + rates.false_negatives)
            when rates.recall is not null then 0
        end as recall,
        case
            when not answered.truth
                then ((not answered.prediction)::int - rates.specificity)
                / (rates.true_negatives + rates.false_positives)
            when rates.specificity is not null then 0
        end as specificity,
        case
            when rates.mass_found is not null
                then coalesce(
                    answered.mass * (answered.prediction::int - rates.mass_found) / rates.masses,
                    0
                )
        end as mass_found,
        (
            2 * (answered.truth and answered.prediction)::int
            - rates.f1 * (
                (answered.truth and answered.prediction)::int
                + (answered.truth or answered.prediction)::int
            )
        ) / (2 * rates.true_positives + rates.false_positives + rates.false_negatives) as f1,
        ((answered.prediction = answered.truth)::int - rates.accuracy) / (
            rates.true_positives
            + rates.false_negatives
            + rates.true_negatives
            + rates.false_positives
        ) as accuracy,
        case when answered.truth then ranked.true_won else ranked.false_won end as auroc,
        case when answered.truth then ranked.true_gained else ranked.false_gained end as auprc
    from answered
    inner join rates
        on answered.subject = rates.subject
    left join ranked
        on answered.subject = ranked.subject
        and answered.answer = ranked.answer
    where answered.xs is null
),

averages as (
    select
        subject,
        truth,
        avg(precision) as precision,
        avg(f1) as f1,
        avg(accuracy) as accuracy,
        avg(auroc) as auroc,
        avg(auprc) as auprc
    from influences
    group by subject, truth
),

centred as (
    select
        influences.subject,
        influences.document,
        influences.precision - averages.precision as precision,
        influences.recall,
        influences.specificity,
        influences.mass_found,
        influences.f1 - averages.f1 as f1,
        influences.accuracy - averages.accuracy as accuracy,
        influences.auroc - averages.auroc as auroc,
        influences.auprc - averages.auprc as auprc,
        null::double as correlation
    from influences
    inner join averages
        on influences.subject = averages.subject
        and influences.truth is not distinct from averages.truth
),

windows as (
    select
        *,
        len(xs) as n,
        list_sum(xs) as x,
        list_sum(ys) as y,
        sum(list_sum(xs)) over of_subject / sum(len(xs)) over of_subject as mean_x,
        sum(list_sum(ys)) over of_subject / sum(len(ys)) over of_subject as mean_y
    from answered
    where len(xs) = len(ys)
    window of_subject as (partition by subject)
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
        nullif(sum(xx) over of_subject, 0) as sum_xx,
        nullif(sum(yy) over of_subject, 0) as sum_yy,
        sum(xy) over of_subject as sum_xy
    from products
    window of_subject as (partition by subject)
),

followed as (
    select
        subject,
        document,
        (
            xy - sum_xy / 2 * (xx / sum_xx + yy / sum_yy)
        ) / sqrt(sum_xx * sum_yy) as correlation
    from sums
),

by_document as materialized (
    select
        subject,
        document,
        sum(precision) as precision,
        sum(recall) as recall,
        sum(specificity) as specificity,
        sum(f1) as f1,
        sum(accuracy) as accuracy,
        (sum(recall) + sum(specificity)) / 2 as balanced_accuracy,
        sum(mass_found) as mass_found,
        sum(mass_found) + sum(specificity) as mass_explained,
        sum(auroc) as auroc,
        sum(auprc) as auprc,
        sum(correlation) as correlation
    from (select * from centred union all by name select * from followed)
    where document is not null
    group by subject, document
),

-- A latent with several explanations counts once, with their mean.
scored as materialized (
    select
        subjects.subject,
        coalesce(explanations.explainer, 'none') as explainer,
        coalesce(explanations.explainer_model, 'none') as explainer_model,
        subjects.selection,
        subjects.scorer,
        subjects.judge,
        subjects.judge_hash,
        subjects.control,
        subjects.latent,
        first_value(subjects.subject) over (
            partition by
                explanations.explainer,
                explanations.explainer_model,
                subjects.selection,
                subjects.scorer,
                subjects.judge,
                subjects.judge_hash,
                subjects.control,
                subjects.latent
            order by subjects.subject
        ) as first_subject
    from subjects
    left join explanations
        on explanations.run = of_run
        and explanations.hookpoint = of_hookpoint
        and subjects.explanation_id = explanations.explanation_id
),

-- Summed before there is a row for each metric, which makes eleven of one.
summed as (
    select
        scored.first_subject as subject,
        by_document.document,
        sum(columns(by_document.* exclude (subject, document)))
    from by_document
    inner join scored
        on by_document.subject = scored.subject
    group by scored.first_subject, by_document.document
),

metrics as (
    from summed
    unpivot (influence for metric in (columns(* exclude (subject, document))))
),

defined as (
    select
        subject,
        any_value(columns(* exclude (subject, document)))
    from by_document
    group by subject
),

defined_metrics as (
    from defined
    unpivot (influence for metric in (columns(* exclude (subject))))
),

counted as (
    select
        scored.first_subject as subject,
        defined_metrics.metric,
        count(*) as n_explanations
    from defined_metrics
    inner join scored
        on defined_metrics.subject = scored.subject
    group by scored.first_subject, defined_metrics.metric
)

select
    scored.explainer,
    scored.explainer_model,
    scored.selection,
    scored.scorer,
    scored.judge,
    scored.judge_hash,
    scored.control,
    metrics.metric,
    scored.latent,
    metrics.document,
    -- What is left of a difference by rounding is none: whether latents move together hangs on it.
    round(metrics.influence / counted.n_explanations, 12) as influence
from metrics
inner join counted
    on metrics.subject = counted.subject
    and metrics.metric = counted.metric
inner join scored
    on metrics.subject = scored.subject;

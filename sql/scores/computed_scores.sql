-- How good is each explanation, by the answers in some files? One row per explanation, scorer, judge,
--   way it was asked (judge_hash), latent it was judged on, and control.
-- Parameters: of_files (of the table predictions, the one without rows first).
-- Needs: the macros, and the view examples.
-- Columns: those of the view scores.
-- Answers that are tied are counted together (`ties`). Going down from the highest answer, a tie
--   then sees how many true and false answers lie above it or in it (`true_above`, `false_above`),
--   from which AUROC, its variance and average precision are sums.
-- The variance of average precision is the jackknife's, of both samples. Without one of a tie's
--   answers, precision stays as it is in the ties above and changes in the tie and in those below;
--   `without_true` and `without_false` are what that gives, but for what is the same for all answers.
-- Precision and F1 take the numbers of true and false windows as given, as they were asked for: their
--   effective sample sizes are those at which Wilson's interval has the variance that recall and
--   specificity give them.
create or replace macro computed_scores(of_files) as table
with ties as (
    select
        run,
        hookpoint,
        latent,
        explanation_id,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        coalesce(probability, value) as answer,
        count(*) as n_examples,
        count(failure) as n_failed,
        count(*) filter (failure is null and truth) as n_true,
        count(*) filter (failure is null and not truth) as n_false,
        count(*) filter (failure is null and truth and prediction) as true_positives,
        count(*) filter (failure is null and not truth and prediction) as false_positives,
        count(*) filter (failure is null and not truth and not prediction) as true_negatives,
        count(*) filter (failure is null and truth and not prediction) as false_negatives,
        count(chance) filter (failure is null) as n_chances,
        sum(chance) filter (failure is null) as chances
    from latest_predictions(of_files)
    group by all
),

descending as (
    select
        *,
        sum(n_true) over subject as true_above,
        sum(n_false) over subject as false_above
    from ties
    window
        subject as (
            partition by
                run, hookpoint, latent, explanation_id, selection, scorer, judge, judge_hash,
                control
            order by answer desc nulls last
        )
),

jackknife as (
    select
        *,
        n_true * true_above / nullif(true_above + false_above, 0) as part,
        sum(part) over subject - part
        + (n_true - 1) * coalesce((true_above - 1) / nullif(true_above + false_above - 1, 0), 0)
        - sum(
            n_true * coalesce((true_above - 1) / nullif(true_above + false_above - 1, 0), 0)
        ) over subject as without_true,
        sum(part) over subject - part
        + n_true * coalesce(true_above / nullif(true_above + false_above - 1, 0), 0)
        - sum(
            n_true * coalesce(true_above / nullif(true_above + false_above - 1, 0), 0)
        ) over subject as without_false
    from descending
    window
        subject as (
            partition by
                run, hookpoint, latent, explanation_id, selection, scorer, judge, judge_hash,
                control
            order by answer desc nulls last
        )
),

counted as (
    select
        run,
        hookpoint,
        latent,
        explanation_id,
        selection,
        scorer,
        judge,
        judge_hash,
        control,
        sum(n_examples)::bigint as n_examples,
        sum(n_failed)::bigint as n_failed,
        sum(true_positives)::bigint as true_positives,
        sum(false_positives)::bigint as false_positives,
        sum(true_negatives)::bigint as true_negatives,
        sum(false_negatives)::bigint as false_negatives,
        sum(chances) / nullif(sum(n_chances), 0) as chance,
        sum(n_true) as n_true,
        sum(n_false) as n_false,
        count(*) filter (answer is null and n_true + n_false > 0) as n_unranked,
        -- Pairs of a true and a higher false answer, ties half, over true or over false answers.
        sum(n_true * (false_above - n_false / 2)) as lost_pairs,
        sum(n_true * (false_above - n_false / 2) ** 2) as lost_squared_of_true,
        sum(n_false * (true_above - n_true / 2) ** 2) as won_squared_of_false,
        sum(part) as precision_sum,
        sum(n_true * without_true) as without_true_sum,
        sum(n_true * without_true ** 2) as without_true_squares,
        sum(n_false * without_false) as without_false_sum,
        sum(n_false * without_false ** 2) as without_false_squares,
        sum((n_true + n_false) / nullif(true_above + false_above, 0)) as ties_over_ranks
    from jackknife
    group by all
),

rates as (
    select
        *,
        true_positives + false_negatives as n_judged_true,
        true_negatives + false_positives as n_judged_false,
        true_positives / nullif(n_judged_true, 0) as recall,
        true_negatives / nullif(n_judged_false, 0) as specificity,
        (true_positives + true_negatives)
        / nullif(n_judged_true + n_judged_false, 0) as accuracy,
        case
            when n_judged_true > 0 and n_judged_false > 0
                then true_positives / nullif(true_positives + false_positives, 0)
        end as precision,
        case
            when n_judged_true > 0 and n_judged_false > 0
                then true_positives / (n_judged_true + false_positives)
        end as jaccard,
        case
            when n_true > 0 and n_false > 0 and n_unranked = 0
                then 1 - lost_pairs / (n_true * n_false)
        end as auroc,
        case when auroc is not null then precision_sum / n_true end as auprc,
        -- Of true answers dealt at random to the ranks that there are.
        case
            when auroc is not null
                then (
                    ties_over_ranks
                    + (n_true - 1) / (n_true + n_false - 1)
                    * (n_true + n_false - ties_over_ranks)
                ) / (n_true + n_false)
        end as auprc_chance,
        (without_true_squares - without_true_sum ** 2 / n_true)
        / nullif(n_true - 1, 0) / n_true
        + (without_false_squares - without_false_sum ** 2 / n_false)
        * nullif(n_false - 1, 0) / n_false / n_true ** 2 as auprc_variance,
        (lost_squared_of_true / n_false ** 2 - n_true * (1 - auroc) ** 2)
        / nullif(n_true - 1, 0) / n_true
        + (won_squared_of_false / n_true ** 2 - n_false * auroc ** 2)
        / nullif(n_false - 1, 0) / n_false as auroc_variance
    from counted
),

-- Apart from the intervals, as a macro repeats what it is given wherever it uses it.
sizes as (
    select
        *,
        least(
            n_judged_true + n_judged_false,
            (true_positives + false_positives) ** 2
            / nullif(false_positives * (1 - recall) + true_positives * specificity, 0)
        ) as n_precision,
        least(
            n_judged_true + n_judged_false,
            coalesce(
                nullif(jaccard * (1 - jaccard), 0) * (n_judged_true + false_positives) ** 2
                / nullif(
                    true_positives * (1 - recall)
                    + jaccard ** 2 * false_positives * specificity,
                    0
                ),
                n_judged_true + false_positives
            )
        ) as n_jaccard,
        case
            when auroc_variance is not null
                then least(
                    n_true + n_false,
                    auroc * (1 - auroc) / nullif(greatest(auroc_variance, 0), 0)
                )
        end as n_auroc,
        case
            when auprc_variance is not null
                then least(
                    3 * n_true,
                    1.5 * (n_true + n_false),
                    nullif(auprc * (1 - auprc), 0) / nullif(greatest(auprc_variance, 0), 0)
                )
                -- Wilson's with Student's quantile.
                * (normal95() / student95(greatest(2, least(n_true, n_false) - 1))) ** 2
        end as n_auprc
    from rates
),

intervals as (
    select
        *,
        wilson(precision, n_precision) as of_precision,
        wilson(recall, n_judged_true) as of_recall,
        wilson(specificity, n_judged_false) as of_specificity,
        wilson(accuracy, n_judged_true + n_judged_false) as of_accuracy,
        wilson(jaccard, n_jaccard) as of_jaccard,
        wilson(auroc, n_auroc) as of_auroc,
        wilson(auprc, n_auprc) as of_auprc,
        wilson(mass_found, n_mass) as of_mass_found
    from sizes
    left join masses(of_files) as masses
        using (
            run, hookpoint, latent, explanation_id, selection, scorer, judge, judge_hash, control
        )
)

select
    run,
    hookpoint,
    latent,
    explanation_id,
    selection,
    scorer,
    judge,
    judge_hash,
    control,
    n_examples,
    n_failed,
    n_failed / n_examples as failed_share,
    true_positives,
    false_positives,
    true_negatives,
    false_negatives,
    precision,
    of_precision.low as precision_low,
    of_precision.high as precision_high,
    recall,
    of_recall.low as recall_low,
    of_recall.high as recall_high,
    specificity,
    of_specificity.low as specificity_low,
    of_specificity.high as specificity_high,
    2 * jaccard / (1 + jaccard) as f1,
    2 * of_jaccard.low / (1 + of_jaccard.low) as f1_low,
    2 * of_jaccard.high / (1 + of_jaccard.high) as f1_high,
    accuracy,
    of_accuracy.low as accuracy_low,
    of_accuracy.high as accuracy_high,
    chance,
    (recall + specificity) / 2 as balanced_accuracy,
    balanced_accuracy
    - sqrt((recall - recall_low) ** 2 + (specificity - specificity_low) ** 2)
    / 2 as balanced_accuracy_low,
    balanced_accuracy
    + sqrt((recall_high - recall) ** 2 + (specificity_high - specificity) ** 2)
    / 2 as balanced_accuracy_high,
    mass_found,
    of_mass_found.low as mass_found_low,
    of_mass_found.high as mass_found_high,
    mass_found - (1 - specificity) as mass_explained,
    mass_explained
    - sqrt((mass_found - mass_found_low) ** 2 + (specificity - specificity_low) ** 2)
        as mass_explained_low,
    mass_explained
    + sqrt((mass_found_high - mass_found) ** 2 + (specificity_high - specificity) ** 2)
        as mass_explained_high,
    auroc,
    of_auroc.low as auroc_low,
    of_auroc.high as auroc_high,
    auprc,
    of_auprc.low as auprc_low,
    of_auprc.high as auprc_high,
    auprc_chance,
    correlation,
    correlation_low,
    correlation_high,
    constant_simulation,
    effective_windows
from intervals
left join correlations(of_files, false) as simulated
    using (
        run, hookpoint, latent, explanation_id, selection, scorer, judge, judge_hash, control
    );

-- Which share of a latent's activation lies in windows that an explanation finds?
-- Parameters: of_files (of the table predictions, the one without rows first).
-- Needs: the macros, and the view examples.
-- Columns: what a row of `scores` is about, mass_found and n_mass, the effective sample size of its
--   interval. No row where nobody answers yes or no about windows in which the latent fires, or picks
--   one of several.
-- What is estimated: over the windows of which test windows were drawn (those in which the latent
--   fires, the max_examples strongest, less train windows), activation in windows that the judge says
--   yes to / activation in all of them; the activation of a window is summed over its tokens, by
--   magnitude. Test windows are drawn bin by bin, so each stands for the windows of its bin / those
--   answered of its bin (n_in_bin; Horvitz and Thompson 1952), and the share is the ratio of the two
--   sums (Hajek 1971).
-- The effective sample size is Kish's (1965) of the weights: few strong windows carry it.
create or replace macro masses(of_files) as table
with bins as (
    select
        answers.run,
        answers.hookpoint,
        answers.latent,
        answers.explanation_id,
        answers.selection,
        answers.scorer,
        answers.judge,
        answers.judge_hash,
        answers.control,
        examples.quantile,
        count(*) as n_answered,
        sum(drawn_mass(examples.activations, examples.n_in_bin, examples.source)) as mass,
        sum(drawn_mass(examples.activations, examples.n_in_bin, examples.source)) filter (
            answers.prediction
        ) as found,
        sum(drawn_mass(examples.activations, examples.n_in_bin, examples.source) ** 2) as squares
    from latest_predictions(of_files) as answers
    inner join examples
        on answers.run = examples.run
        and answers.hookpoint = examples.hookpoint
        and answers.selection = examples.selection
        and answers.latent = examples.latent
        and answers.example = examples.example
    where
        answers.failure is null
        and answers.truth
        and answers.prediction is not null
        and answers.chance is null
    group by all
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
    sum(coalesce(found, 0) / n_answered) / nullif(sum(mass / n_answered), 0) as mass_found,
    sum(mass / n_answered) ** 2 / nullif(sum(squares / n_answered ** 2), 0) as n_mass
from bins
group by all;

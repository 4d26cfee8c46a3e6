-- Do explanations of a trained coder's latents score higher than those of a coder that knows nothing?
-- Parameters: $run.
-- Columns: module, coder (the name behind the hookpoint's '@'; '' for the one of coder.sparse_model,
--   beside which the others are put), explainer, its model, selection, scorer, judge and how it was
--   asked (judge_hash, of discrimination without its neighbours), metric; the coder's latents and their
--   share that never fires (dead_share), and that has windows enough to be explained (eligible_share);
--   latents scored, their mean score with its
--   95% interval, the mean of their floors with another latent's explanation (shuffled) and with none
--   (empty); then the mean score of the coder '' of the same module, asked the same (own), and by how
--   much it is above this one, with its 95% interval (Welch's: latents of two coders are not paired;
--   null with fewer than three of either). Intervals are of latents, as if no two shared a document.
with sizes as (
    select
        hookpoint,
        count(*) as n_latents_of_coder,
        avg((n_activations = 0)::int) as dead_share
    from latents
    where run = $run
    group by hookpoint
),

eligible as (
    select
        hookpoint,
        selection,
        avg((code = 'eligible')::int) as eligible_share
    from eligibility
    where run = $run
    group by hookpoint, selection
),

of_latents as (
    select
        split_part(hookpoint, '@', 1) as module,
        split_part(hookpoint, '@', 2) as coder,
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        -- Discrimination says which neighbours it asked about, and every coder has its own.
        regexp_replace(judge_hash, ' among [0-9a-f]+$', '') as judge_hash,
        metric,
        latent,
        -- An explainer may have several texts of a latent, which counts once.
        avg(score) as score,
        avg(shuffled) as shuffled,
        avg(empty) as empty
    from scored_latents
    where run = $run and score is not null
    group by all
),

means as (
    select
        module,
        coder,
        explainer,
        explainer_model,
        selection,
        scorer,
        judge,
        judge_hash,
        metric,
        count(*) as n_latents,
        avg(score) as score,
        var_samp(score) / count(*) as variance,
        avg(shuffled) as shuffled,
        avg(empty) as empty
    from of_latents
    group by all
),

compared as (
    select
        means.*,
        own.score as own,
        own.score - means.score as own_above,
        if(
            least(own.n_latents, means.n_latents) > 2, sqrt(own.variance + means.variance), null
        ) as error,
        -- Welch's degrees of freedom; two coders whose scores do not vary have no error.
        (own.variance + means.variance) ** 2 / nullif(
            own.variance ** 2 / (own.n_latents - 1) + means.variance ** 2 / (means.n_latents - 1), 0
        ) as df
    from means
    left join means as own
        on own.coder = ''
        and means.coder <> ''
        and means.module = own.module
        and means.explainer = own.explainer
        and means.explainer_model = own.explainer_model
        and means.selection = own.selection
        and means.scorer = own.scorer
        and means.judge = own.judge
        and means.judge_hash = own.judge_hash
        and means.metric = own.metric
)

select
    compared.module,
    compared.coder,
    compared.explainer,
    compared.explainer_model,
    compared.selection,
    compared.scorer,
    compared.judge,
    compared.judge_hash,
    compared.metric,
    sizes.n_latents_of_coder,
    sizes.dead_share,
    eligible.eligible_share,
    compared.n_latents,
    compared.score,
    compared.score - student95(compared.n_latents - 1) * sqrt(compared.variance) as score_low,
    compared.score + student95(compared.n_latents - 1) * sqrt(compared.variance) as score_high,
    compared.shuffled,
    compared.empty,
    compared.own,
    compared.own_above,
    compared.own_above - student95(compared.df) * compared.error as own_above_low,
    compared.own_above + student95(compared.df) * compared.error as own_above_high
from compared
left join sizes
    on sizes.hookpoint = concat_ws('@', compared.module, nullif(compared.coder, ''))
left join eligible
    on eligible.hookpoint = sizes.hookpoint
    and compared.selection = eligible.selection
order by
    compared.module,
    compared.explainer,
    compared.explainer_model,
    compared.selection,
    compared.scorer,
    compared.judge,
    compared.judge_hash,
    compared.metric,
    compared.coder;

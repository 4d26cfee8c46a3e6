-- Of a planted latent, does the true description explain as much activation as there is to explain?
-- Parameters: $run, $hookpoint (of a planted run, whose descriptions were scored as explanations).
-- Columns: scorer, judge and how it was asked (judge_hash), selection; latent, its name and kind;
--   mass_found, and mass_explained with its 95% interval, of the true description; on_true, the share
--   of the latent's activation on tokens on which the predicate holds; claimed_at_most, the largest
--   share of silent windows in which it can hold; least, what a judge gets that finds every window in
--   which it holds: at least on_true less claimed_at_most; short_by, on_true less mass_explained; and
--   whether the interval reaches least. The latents that are furthest short come first.
-- What is known: the latent fires on n_true - n_missed tokens on which the predicate holds and on n_false
--   others, and is half as strong there (docs/planted.md). Strengths are drawn apart from all else, so
--   on_true is what they come to on average; where a latent is stronger on tokens of another one, without
--   that. A false fire beside a true one is in a window that is found, so on_true is the least that can be.
--   A missed token makes at most one silent window hold it. Latents that fire at random have no truth.
with lengths as (
    select
        selection,
        max(len(tokens)) as n_tokens
    from examples
    where run = $run and hookpoint = $hookpoint
    group by selection
),

corpus as (
    select
        lengths.selection,
        sum(len(contexts.tokens)) // lengths.n_tokens as n_windows
    from lengths
    left join contexts
        on contexts.run = $run
    group by lengths.selection, lengths.n_tokens
),

truths as (
    select
        corpus.selection,
        planted.latent,
        planted.name,
        planted.kind,
        planted.text,
        (planted.n_true - planted.n_missed)
        / (planted.n_true - planted.n_missed + planted.n_false / 2) as on_true,
        least(
            1,
            coalesce(
                planted.n_missed / nullif(corpus.n_windows - latents.n_windows, 0),
                0
            )
        ) as claimed_at_most
    from planted
    cross join corpus
    inner join latents
        on latents.run = $run
        and latents.hookpoint = $hookpoint
        and planted.latent = latents.latent
    where
        planted.run = $run
        and planted.hookpoint = $hookpoint
        and planted.relation = 'true'
        and planted.kind <> 'random'
)

select
    scored.scorer,
    scored.judge,
    scored.judge_hash,
    scored.selection,
    truths.latent,
    truths.name,
    truths.kind,
    scored.mass_found,
    scored.mass_explained,
    scored.mass_explained_low,
    scored.mass_explained_high,
    truths.on_true,
    truths.claimed_at_most,
    truths.on_true - truths.claimed_at_most as least,
    truths.on_true - scored.mass_explained as short_by,
    scored.mass_explained_high >= least as reaches_least
from truths
inner join scored_latents as scored
    on scored.run = $run
    and scored.hookpoint = $hookpoint
    and truths.selection = scored.selection
    and truths.latent = scored.latent
    and truths.text = scored.explanation
where scored.mass_explained is not null
order by
    scored.scorer,
    scored.judge,
    scored.judge_hash,
    scored.selection,
    short_by desc,
    truths.latent,
    scored.explanation_id;

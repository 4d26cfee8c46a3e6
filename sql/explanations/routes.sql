-- Which latents need no LLM to be explained, and by which numbers?
-- Parameters: $run, $hookpoint, $files (published files of the table examples), $first, $last
--   (latents first <= latent < last), $share, $recall, $density (thresholds, as the settings
--   explain.route_share, route_recall and route_density say).
-- Needs: the view latents.
-- Columns: latent; route: dense, position, token or word, the first that fits; forms of its heaviest
--   word, the heaviest first; share of its activation on that word (of the heaviest token for the
--   route token); recall: share of the occurrences of the heaviest form on which it fires, and for
--   the route position of the contexts in which it fires; density: share of tokens on which it
--   fires; first_token_share; n_shown train windows. In order of latent.
-- Tokens and their shares are those of train windows alone, as for any explainer; from the table
--   latents are statistics that name no window. Two tokens are forms of one word when they differ in
--   case, in spaces around them or in an English ending behind four letters or more.
with shown as (
    select
        latent,
        str_tokens,
        activations
    from read_parquet($files, union_by_name = true)
    where split = 'train' and activating and latent >= $first and latent < $last
),

windows_shown as (
    select
        latent,
        count(*) as n_shown
    from shown
    group by latent
),

fired as (
    select
        latent,
        unnest(str_tokens) as token,
        unnest(activations) as activation
    from shown
),

tokens as (
    select
        latent,
        token,
        regexp_replace(lower(trim(token)), '^(.{4,}?)(e|es|s|ed|ing)$', '\1') as stem,
        sum(abs(activation)) as mass
    from fired
    where activation <> 0
    group by latent, token
),

words as (
    select
        latent,
        list(token order by mass desc, token) as forms,
        max(mass) as token_mass,
        sum(mass) as word_mass
    from tokens
    -- A blank token is a word of its own: a space is not a form of two.
    group by latent, if(stem = '', token, stem), stem = ''
),

heaviest as (
    select
        latent,
        forms,
        token_mass / sum(word_mass) over (partition by latent) as token_share,
        word_mass / sum(word_mass) over (partition by latent) as word_share
    from words
    qualify row_number() over (partition by latent order by word_mass desc, forms[1]) = 1
),

judged as (
    select
        heaviest.*,
        windows_shown.n_shown,
        described.token_density,
        described.first_token_share,
        described.context_density,
        if(heaviest.forms[1] = described.top_tokens[1], described.top_token_recall, 0) as recall
    from heaviest
    inner join windows_shown
        on heaviest.latent = windows_shown.latent
    inner join latents as described
        on heaviest.latent = described.latent
    where described.run = $run and described.hookpoint = $hookpoint
),

routed as (
    select
        *,
        case
            when token_density >= $density then 'dense'
            when first_token_share >= $share and context_density >= $recall then 'position'
            when recall < $recall then null
            when token_share >= $share then 'token'
            when word_share >= $share then 'word'
        end as route
    from judged
)

select
    latent,
    route,
    forms,
    if(route = 'token', token_share, word_share) as share,
    if(route = 'position', context_density, recall) as recall,
    token_density as density,
    first_token_share,
    n_shown
from routed
where route is not null
order by latent;

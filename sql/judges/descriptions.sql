-- Which planted latents is a judge asked about, and by which descriptions of them?
-- Parameters: $run, $hookpoint (of a planted run), $selection, $scorable (fewest windows of each
--   side that a latent needs).
-- Columns: place (of the latent, from 1), latent, relation, text: the true description and one that
--   is wrong, whose relation changes from latent to latent.
-- Only latents that fire where their predicate holds and nowhere else: of others the truth is known
--   less well. Kinds take turns, and within a kind a hash of the name does.
with windows as (
    select
        latent,
        count(*) filter (activating) as n_activating,
        count(*) filter (not activating) as n_silent
    from examples
    where run = $run and hookpoint = $hookpoint and selection = $selection and split = 'test'
    group by latent
),

told as (
    select
        latent,
        kind,
        name,
        relation,
        text
    from planted
    where
        run = $run
        and hookpoint = $hookpoint
        and number = 1
        and relation <> 'empty'
        and kind <> 'random'
        and n_missed = 0
        and n_false = 0
),

in_kinds as (
    select
        told.*,
        row_number() over (partition by kind order by md5(name), latent) as turn
    from told
    inner join windows using (latent)
    where relation = 'true' and n_activating >= $scorable and n_silent >= $scorable
),

true_ones as (
    select
        *,
        row_number() over (order by turn, kind) as place
    from in_kinds
),

wrong_ones as (
    select
        true_ones.place,
        told.latent,
        told.relation,
        told.text,
        row_number() over (partition by told.latent order by told.relation) as number,
        count(*) over (partition by told.latent) as n_wrong
    from told
    inner join true_ones using (latent)
    where told.relation <> 'true' and told.text <> true_ones.text
),

either as (
    select
        place,
        latent,
        relation,
        text
    from true_ones
    union all
    select
        place,
        latent,
        relation,
        text
    from wrong_ones
    where number = 1 + place % n_wrong
)

select
    place,
    latent,
    relation,
    text
from either
order by place, relation = 'true' desc;

-- Test windows from documents without a train window: equally many of each bin; where these do not
--   suffice, windows of train documents fill up, the bins first that have given least.
-- Parameters: $n_examples_test.
-- Needs: the temporary tables apart and not_apart, the temporary macro in_turns.
-- Makes the temporary table test: latent, place, quantile.
create or replace temp table test as
with drawn as (
    select
        latent,
        place,
        quantile
    from in_turns('apart', 0, $n_examples_test)
),

given_by_bins as (
    select
        latent,
        quantile,
        count(*) as n_given
    from drawn
    group by latent, quantile
),

given as (
    select
        latent,
        sum(n_given) as n_given
    from given_by_bins
    group by latent
),

filling as (
    select
        offered.latent,
        offered.place,
        offered.quantile
    from in_turns('not_apart', 0, $n_examples_test) as offered
    left join given_by_bins as bins
        on offered.latent = bins.latent and offered.quantile = bins.quantile
    left join given
        on offered.latent = given.latent
    qualify row_number() over (
        partition by offered.latent
        order by offered.turn + coalesce(bins.n_given, 0), offered.quantile
    ) <= $n_examples_test - coalesce(given.n_given, 0)
)

select * from drawn
union all
select * from filling
order by latent, place;

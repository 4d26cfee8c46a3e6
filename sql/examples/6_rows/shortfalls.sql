-- Which latents got fewer examples than asked for, and why?
-- Parameters: $latents (those asked for), $max_examples, $n_examples_train, $n_examples_test,
--   $sources and $quotas (of non-activating windows, in order).
-- Needs: the temporary tables eligibility, train, test and non_activating.
-- Columns: those of the table shortfalls.
with asked as (select unnest($latents) as latent),

sources as (
    select
        unnest($sources) as source,
        unnest($quotas) as quota,
        unnest(range(len($sources))) as place
),

silent as (
    select
        asked.latent,
        sources.source,
        sources.quota,
        sources.place,
        count(non_activating.position) as given
    from asked
    cross join sources
    left join non_activating
        on asked.latent = non_activating.latent and sources.source = non_activating.source
    group by all
),

all_silent as (
    select
        latent,
        sum(given)::int as non_activating,
        sum(quota - given)::int as non_activating_missing,
        string_agg(format('{}: {} of {}', source, given, quota), ', ' order by place) filter (
            given < quota
        ) as lacking
    from silent
    group by latent
),

drawn as (
    select
        asked.latent,
        eligibility.code,
        least(eligibility.n_windows, $max_examples) as pool,
        (select count(*) from train where latent = asked.latent) as train,
        (select count(*) from test where latent = asked.latent) as test
    from asked
    inner join eligibility
        on asked.latent = eligibility.latent
)

select
    latent,
    pool,
    train,
    $n_examples_train - train as train_missing,
    test,
    $n_examples_test - test as test_missing,
    non_activating,
    non_activating_missing,
    case
        when code <> 'eligible' then code
        when train_missing + test_missing > 0 and non_activating_missing > 0
            then 'too_few_of_both'
        when train_missing + test_missing > 0 then 'too_few_activating'
        else 'too_few_silent'
    end as reason,
    lacking
from drawn
inner join all_silent using (latent)
where train_missing + test_missing + non_activating_missing > 0
order by latent;

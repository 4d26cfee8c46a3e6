-- Which latents got fewer examples than asked for, and why?
-- Parameters: $latents (those asked for), $min_examples, $max_examples, $n_examples_train,
--   $n_examples_test, $sources and $quotas (of non-activating windows, in order).
-- Needs: the temporary tables ranked, train, test and non_activating.
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
        (select count(*) from ranked where latent = asked.latent) as n_candidates,
        (select count(*) from train where latent = asked.latent) as train,
        (select count(*) from test where latent = asked.latent) as test
    from asked
)

select
    latent,
    least(n_candidates, $max_examples) as pool,
    train,
    $n_examples_train - train as train_missing,
    test,
    $n_examples_test - test as test_missing,
    non_activating,
    non_activating_missing,
    case
        when n_candidates = 0
            then 'no window in which it fires'
        when least(n_candidates, $max_examples) < $min_examples
            then format(
                '{} windows, min_examples is {}',
                least(n_candidates, $max_examples),
                $min_examples
            )
        when train_missing + test_missing > 0 and non_activating_missing > 0
            then format('too few activating and too few silent windows ({})', lacking)
        when train_missing + test_missing > 0
            then 'too few activating windows'
        else format('too few silent windows ({})', lacking)
    end as reason
from drawn
inner join all_silent using (latent)
where train_missing + test_missing + non_activating_missing > 0
order by latent;

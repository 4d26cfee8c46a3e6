-- Which latents of a bucket got fewer examples than asked for, and why?
-- Parameters: $first, $last (the bucket's latents, half open), $min_examples, $max_examples,
--   $n_examples_train, $n_examples_test, $n_non_activating.
-- Needs: the temporary tables ranked, train, test and non_activating.
-- Columns: those of the table shortfalls.
with drawn as (
    select
        all_latents.latent,
        (select count(*) from ranked where latent = all_latents.latent) as n_candidates,
        (select count(*) from train where latent = all_latents.latent) as train,
        (select count(*) from test where latent = all_latents.latent) as test,
        (
            select count(*) from non_activating where latent = all_latents.latent
        ) as non_activating
    from range($first, $last) as all_latents (latent)
)

select
    latent,
    least(n_candidates, $max_examples) as pool,
    train,
    $n_examples_train - train as train_missing,
    test,
    $n_examples_test - test as test_missing,
    non_activating,
    $n_non_activating - non_activating as non_activating_missing,
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
            then 'too few activating and too few silent windows'
        when train_missing + test_missing > 0
            then 'too few activating windows'
        else 'too few silent windows'
    end as reason
from drawn
where train_missing + test_missing + non_activating_missing > 0
order by latent;

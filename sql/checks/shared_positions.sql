-- Which train windows share a token with a test window of the same latent?
-- Parameters: $run, $hookpoint, $selection (null: every one), $first_latent and $last_latent (null:
--   all latents), $n_rows (most rows shown).
-- Columns: selection, latent, the two examples, and how many tokens they share.
with positions as (
    select
        selection,
        latent,
        example,
        split,
        unnest(range(position, position + len(tokens))) as token_position
    from examples
    where
        run = $run
        and hookpoint = $hookpoint
        and ($selection is null or selection = $selection)
        and ($first_latent is null or latent between $first_latent and $last_latent)
)

select
    train.selection,
    train.latent,
    train.example as train_example,
    test.example as test_example,
    count(*) as n_shared
from positions as train
inner join positions as test
    on train.selection = test.selection
    and train.latent = test.latent
    and train.token_position = test.token_position
where train.split = 'train' and test.split = 'test'
group by all
order by train.selection, train.latent, train_example, test_example
limit $n_rows;

-- Which non-activating windows were given more than once to one latent?
-- Parameters: $run, $hookpoint, $selection (null: every one), $first_latent and $last_latent (null:
--   all latents), $n_rows (most rows shown).
-- Columns: selection, latent, position of the window, and how often it is there.
select
    selection,
    latent,
    position,
    count(*) as n_times
from examples
where
    run = $run
    and hookpoint = $hookpoint
    and not activating
    and ($selection is null or selection = $selection)
    and ($first_latent is null or latent between $first_latent and $last_latent)
group by all
having count(*) > 1
order by selection, latent, position
limit $n_rows;

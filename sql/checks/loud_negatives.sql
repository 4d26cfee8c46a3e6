-- In which non-activating windows does the latent fire after all?
-- Parameters: $run, $hookpoint, $selection (null: every one), $first_latent and $last_latent (null:
--   all latents), $n_rows (most rows shown).
-- Columns: selection, latent, example, and the tokens of the window on which the latent fires, with
--   the largest magnitude there.
with silent as (
    select
        selection,
        latent,
        example,
        unnest(range(position, position + len(tokens))) as token_position
    from examples
    where
        run = $run
        and hookpoint = $hookpoint
        and not activating
        and ($selection is null or selection = $selection)
        and ($first_latent is null or latent between $first_latent and $last_latent)
)

select
    silent.selection,
    silent.latent,
    silent.example,
    count(*) as n_activations,
    max(abs(activations.activation)) as max_activation
from silent
inner join activations
    on silent.latent = activations.latent
    and silent.token_position = activations.position
where
    activations.run = $run
    and activations.hookpoint = $hookpoint
    and ($first_latent is null or activations.latent between $first_latent and $last_latent)
group by all
order by silent.selection, silent.latent, silent.example
limit $n_rows;

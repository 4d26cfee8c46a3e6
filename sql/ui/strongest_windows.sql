-- In which windows do some latents fire most?
-- Parameters: $run, $hookpoint, $selection, $latents (a list), $n_windows (a latent).
-- Columns: latent, max_activation, str_tokens, activations; the latent's train windows, the
--   strongest first.
select
    latent,
    max_activation,
    str_tokens,
    activations
from examples
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and latent in (select unnest($latents::int[]))
    and split = 'train'
    and activating
qualify row_number() over (
    partition by latent order by abs(max_activation) desc, example
) <= $n_windows
order by latent, abs(max_activation) desc, example;

-- In which windows do some latents fire?
-- Parameters: $run, $hookpoint, $selection, $first, $last (latents, half open).
-- Needs: the view examples.
-- Columns: latent, example, quantile, position of the first token, str_tokens, activations, offset of
--   the strongest activation (0 the first token), and of a window drawn by rank bin its bin: the
--   smallest and largest magnitude of the windows drawn from that bin, and the share of the latent's
--   windows that a bin holds; null from other samplers. In order of latent, strongest window first.
with activating as (
    select
        *,
        list_transform(activations, lambda activation: abs(activation)) as magnitudes,
        source = 'quantiles' and quantile is not null as in_bin,
        max(quantile) over (partition by latent) + 1 as n_bins
    from examples
    where
        run = $run
        and hookpoint = $hookpoint
        and selection = $selection
        and latent >= $first
        and latent < $last
        and activating
)

select
    latent,
    example,
    quantile,
    position,
    str_tokens,
    activations,
    list_position(magnitudes, list_max(magnitudes)) - 1 as strongest,
    case when in_bin then min(abs(max_activation)) over of_bin end as bin_min,
    case when in_bin then max(abs(max_activation)) over of_bin end as bin_max,
    case when in_bin then 1 / n_bins end as bin_contains
from activating
window of_bin as (partition by latent, quantile)
order by latent, abs(max_activation) desc, example;

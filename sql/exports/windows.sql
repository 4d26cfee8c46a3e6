-- In which windows do some latents fire?
-- Parameters: $run, $hookpoint, $selection, $first, $last (latents, half open).
-- Needs: the view examples.
-- Columns: latent, example, quantile, position of the first token, str_tokens, activations, offset of
--   the largest activation (0 the first token), and of a window drawn by rank bin its bin: the
--   smallest and largest of the windows' maxima drawn from that bin, and the share of the latent's
--   windows that a bin holds; null from other samplers. In order of latent, strongest window first.
with activating as (
    select
        *,
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
    list_position(activations, list_max(activations)) - 1 as strongest,
    case when in_bin then min(max_activation) over of_bin end as bin_min,
    case when in_bin then max(max_activation) over of_bin end as bin_max,
    case when in_bin then 1 / n_bins end as bin_contains
from activating
window of_bin as (partition by latent, quantile)
order by latent, max_activation desc, example;

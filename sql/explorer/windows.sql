-- Which windows of some latents were shown to explainers and scorers?
-- Parameters: $run, $hookpoint, $first, $last (latents first <= latent < last).
-- Needs: the view examples.
-- Columns: those that tell a window, its tokens as text, and of the tokens on which the latent
--   fires the offsets, activations and strengths (-10 to 10). In order of latent and selection; first
--   those activating, by rank bin, the strongest first.
with chosen as (
    select
        *,
        list_filter(range(1, len(activations) + 1), lambda i: activations[i] <> 0) as fired
    from examples
    where run = $run and hookpoint = $hookpoint and latent >= $first and latent < $last
)

select
    latent,
    selection,
    example,
    activating,
    split,
    source,
    quantile,
    position,
    str_tokens,
    max_activation,
    neighbour,
    similarity,
    list_transform(fired, lambda i: i - 1) as offsets,
    list_transform(fired, lambda i: activations[i]) as fired_activations,
    list_transform(fired, lambda i: normalized[i]) as strengths
from chosen
order by
    latent,
    selection,
    split desc,
    activating desc,
    quantile nulls last,
    abs(max_activation) desc,
    example;

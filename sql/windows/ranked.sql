-- In which whole aligned windows does each latent of a bucket fire, the strongest first?
-- Parameters: $activations (files of one bucket), $example_ctx_len, $n_tokens (positions of the run).
-- Columns: those of the table windows. A window cut off by the end of the corpus is not whole.
-- Of two activations of one magnitude and both signs the positive one stands for the window.
with firing as (
    select
        latent,
        position // $example_ctx_len as "window",
        max(activation) as most,
        min(activation) as least
    from read_parquet($activations, union_by_name = true)
    where position // $example_ctx_len < $n_tokens // $example_ctx_len
    group by latent, "window"
)

select
    latent,
    row_number() over (
        partition by latent
        order by greatest(most, -least) desc, "window"
    )::int as place,
    "window" * $example_ctx_len as position,
    if(most >= -least, most, least) as max_activation
from firing
order by latent, place;

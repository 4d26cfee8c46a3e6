-- In which whole aligned windows does each latent of a bucket fire, the strongest first?
-- Parameters: $activations (files of one bucket), $example_ctx_len, $n_tokens (positions of the run).
-- Columns: those of the table windows. A window cut off by the end of the corpus is not whole.
with firing as (
    select
        latent,
        position // $example_ctx_len as "window",
        max(activation) as max_activation
    from read_parquet($activations, union_by_name = true)
    where position // $example_ctx_len < $n_tokens // $example_ctx_len
    group by latent, "window"
)

select
    latent,
    row_number() over (
        partition by latent
        order by max_activation desc, "window"
    )::int as place,
    "window" * $example_ctx_len as position,
    max_activation
from firing
order by latent, place;

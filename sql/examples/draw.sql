-- In what order are a latent's windows drawn?
-- Makes the temporary macro draw(key, window): 32 bits mixed from a key and a window of 32 bits
--   each. Every step can be undone, so no two windows of a latent get the same.
create or replace temp macro draw(key, "window") as (
    with first_mixed as (
        select (xor(xor("window", key), xor("window", key) >> 16) * 73244475) & 4294967295 as x
    ),

    second_mixed as (
        select (xor(x, x >> 16) * 73244475) & 4294967295 as x
        from first_mixed
    )

    select xor(x, x >> 16)
    from second_mixed
);

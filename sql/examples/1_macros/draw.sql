-- In what order are a latent's windows drawn?
-- Needs: the temporary macro mixed.
-- Makes the temporary macro draw(key, window): 32 bits mixed from a key and a window of 32 bits
--   each. Every step can be undone, so no two windows of a latent get the same.
create or replace temp macro draw(key, "window") as xor(
    mixed(mixed(xor("window"::bigint, key))),
    mixed(mixed(xor("window"::bigint, key))) >> 16
);

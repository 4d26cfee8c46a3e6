-- Which windows does each latent get in which it is silent? None yet; the sources add theirs.
-- Makes the temporary table non_activating: latent, position (first token), source, neighbour (the
--   latent that fires there, null from other sources), similarity (null from the source random).
create or replace temp table non_activating (
    latent int,
    position bigint,
    source varchar,
    neighbour int,
    similarity float
);

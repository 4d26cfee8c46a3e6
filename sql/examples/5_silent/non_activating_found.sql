-- Add the silent windows that a source found.
-- Parameters: $source.
-- Needs: the temporary table non_activating; found (latent, position, similarity, neighbour where
--   the source has one).
insert into non_activating by name
select
    *,
    $source as source
from found;

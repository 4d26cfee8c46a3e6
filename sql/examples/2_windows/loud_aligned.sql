-- In which whole aligned windows does each latent fire? Those that are ranked.
-- Makes the temporary view loud: latent, position (first token).
create or replace temp view loud as
select
    latent,
    position
from ranked;

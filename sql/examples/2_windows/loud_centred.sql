-- In which aligned windows does each latent fire? Those that have a peak.
-- Makes the temporary view loud: latent, position (first token).
create or replace temp view loud as
select
    latent,
    position
from peaks;

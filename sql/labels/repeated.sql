-- Which names have several given values for one latent?
-- Needs: the table given (latent, name, ...).
-- Columns: name, latent; in that order.
select
    name,
    latent
from given
group by name, latent
having count(*) > 1
order by name, latent;

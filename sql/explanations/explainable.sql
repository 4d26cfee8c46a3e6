-- How many windows does each latent of a selection have?
-- Parameters: $files (published files of the table examples).
-- Columns: latent, n_train, n_test, n_non_activating, in order of latent.
select
    latent,
    count(*) filter (split = 'train') as n_train,
    count(*) filter (split = 'test' and activating) as n_test,
    count(*) filter (not activating) as n_non_activating
from read_parquet($files)
group by latent
order by latent;

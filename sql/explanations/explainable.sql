-- How many windows does each latent of a selection have?
-- Parameters: $files (published files of the table examples).
-- Columns: latent, n_train, n_train_non_activating (for the explainer), n_test, n_non_activating
--   (for the scorers), in order of latent.
select
    latent,
    count(*) filter (split = 'train' and activating) as n_train,
    count(*) filter (split = 'train' and not activating) as n_train_non_activating,
    count(*) filter (split = 'test' and activating) as n_test,
    count(*) filter (split = 'test' and not activating) as n_non_activating
from read_parquet($files, union_by_name = true)
group by latent
order by latent;

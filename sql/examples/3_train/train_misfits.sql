-- Which latent did a sampler of one's own give train windows that cannot be shown?
-- Parameters: $n_examples_train.
-- Needs: the temporary tables pool and train.
-- Columns: latent, n_given, n_fitting (different windows of the pool). A row at most.
select
    train.latent,
    count(*) as n_given,
    count(distinct pool.position) as n_fitting
from train
left join pool
    on train.latent = pool.latent and train.place = pool.place and train.quantile is not null
group by train.latent
having n_given > least(n_fitting, $n_examples_train)
order by train.latent
limit 1;

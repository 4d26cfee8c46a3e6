-- Does a judge that says 80% turn out right in 80% of cases?
-- Parameters: $run, $hookpoint, $selection.
-- Columns: scorer, judge, lower edge of a bin of its probability of true, 0.1 wide (1 is in the
--   last), answers there, their mean probability, and the share of them of which the truth is true.
--   Answers about a latent's own explanation only, and none where one of several is picked: there
--   the truth is always true.
select
    scorer,
    judge,
    least(floor(10 * probability), 9) / 10 as probability_from,
    count(*) as n_answers,
    avg(probability) as mean_probability,
    count(*) filter (truth) / count(*) as share_true
from predictions
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and control = 'none'
    and probability is not null
    and chance is null
group by scorer, judge, least(floor(10 * probability), 9) / 10
order by scorer, judge, probability_from;

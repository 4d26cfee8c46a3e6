-- How are the scores of each scorer spread, and how are its floors?
-- Needs: the table latent_scores (rows of `analysis/latent_scores.sql`).
-- Columns: selection, explainer, explainer_model, scorer, judge, judge_hash, metric; kind (own,
--   shuffled, empty, lexical); lower edge of a bin, 0.05 wide, and the scores in it.
with kinds as (
    unpivot latent_scores
    on own, shuffled, empty, lexical
    into
        name kind
        value score
)

select
    selection,
    explainer,
    explainer_model,
    scorer,
    judge,
    judge_hash,
    metric,
    kind,
    floor(20 * round(score, 9)) / 20 as bin,
    count(*) as n_scores
from kinds
group by all
order by
    selection, explainer, explainer_model, scorer, judge, judge_hash, metric, kind, bin;

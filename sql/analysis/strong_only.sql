-- Which explanations hold for strong activations only?
-- Parameters: $run, $hookpoint, $scorer (one that says yes or no, such as detection), $n_rows (most
--   rows shown).
-- Columns: latent, share of right answers on its strongest rank bin of activating windows and on its
--   weakest, each with the answers it is of, the drop from one to the other, judge, explanation. The
--   largest drop comes first. For a whole hookpoint see right_answers_by_quantile.
with ends as (
    select
        latent,
        explanation_id,
        selection,
        judge,
        judge_hash,
        min_by(accuracy, quantile) as strongest,
        min_by(n_examples - n_failed, quantile) as n_strongest,
        max_by(accuracy, quantile) as weakest,
        max_by(n_examples - n_failed, quantile) as n_weakest
    from quantile_scores
    where
        run = $run
        and hookpoint = $hookpoint
        and scorer = $scorer
        and control = 'none'
        and quantile is not null
        and accuracy is not null
    group by all
    having min(quantile) < max(quantile)
)

select
    ends.latent,
    ends.strongest,
    ends.n_strongest,
    ends.weakest,
    ends.n_weakest,
    ends.strongest - ends.weakest as drop_to_weakest,
    ends.judge,
    explanations.explainer,
    explanations.explainer_model,
    explanations.explanation,
    ends.selection,
    ends.explanation_id
from ends
inner join explanations
    on explanations.run = $run
    and explanations.hookpoint = $hookpoint
    and ends.explanation_id = explanations.explanation_id
order by
    drop_to_weakest desc,
    ends.latent,
    ends.explanation_id,
    ends.selection,
    ends.judge,
    ends.judge_hash
limit $n_rows;

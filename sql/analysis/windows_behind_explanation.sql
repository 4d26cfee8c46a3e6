-- In which windows did the explainer see the latent fire?
-- Parameters: $explanation_id.
-- Columns: example, rank bin (0 the strongest), largest activation, the window as text with
--   <<tokens on which the latent fires>>, position of its first token, the explanation. Windows in
--   which the latent is silent are left out; those that best_of_k held out are not.
select
    examples.example,
    examples.quantile,
    examples.max_activation,
    array_to_string(
        list_transform(
            list_zip(examples.str_tokens, examples.activations),
            lambda token: case
                when token[2] > 0 then '<<' || token[1] || '>>'
                else token[1]
            end
        ),
        ''
    ) as window_text,
    examples.position,
    explanations.explanation
from explanations
inner join examples
    on explanations.run = examples.run
    and explanations.hookpoint = examples.hookpoint
    and explanations.selection = examples.selection
    and explanations.latent = examples.latent
where
    explanations.explanation_id = $explanation_id
    and examples.split = 'train'
    and examples.activating
order by examples.max_activation desc, examples.example;

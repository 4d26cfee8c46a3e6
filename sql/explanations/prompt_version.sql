-- Which version of the shipped prompts have a selection's explanations by an explainer and model?
-- Parameters: $run, $hookpoint, $selection, $explainer, $explainer_model. Needs: the view explanations.
-- Columns: prompt_version (the newest; 1 for rows that name none; null without rows); one row.
select max(coalesce(prompt_version, 1)) as prompt_version
from explanations
where
    run = $run
    and hookpoint = $hookpoint
    and selection = $selection
    and explainer = $explainer
    and explainer_model = $explainer_model;

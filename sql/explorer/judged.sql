-- How good are the explanations of some latents?
-- Parameters: $run, $hookpoint, $latents (a list, in order), $first, $last (its ends: first <= latent
--   < last; a range reaches the files, a list does not).
-- Needs: the view scores.
-- Columns: those of the view scores.
select *
from scores
where
    run = $run
    and hookpoint = $hookpoint
    and latent >= $first
    and latent < $last
    and latent in (select unnest($latents::int[]))
order by latent, explanation_id, selection, scorer, model, judge_hash, control;

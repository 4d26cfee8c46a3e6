-- How good are the explanations of some latents? The answer is kept on this connection.
-- Parameters: $run, $hookpoint, $latents (a list, in order; null is all), $first, $last (its ends:
--   first <= latent < last; a range reaches the files, a list does not).
-- Needs: the view kept_scores, and the table of `kept/scores_here.sql`, which gets these rows too.
insert into temp.kept_scores by name
select *
from memory.main.kept_scores
where
    run = $run
    and hookpoint = $hookpoint
    and latent >= $first
    and latent < $last
    and ($latents::int[] is null or latent in (select unnest($latents::int[])))
order by latent, explanation_id, selection, scorer, judge, judge_hash, control;

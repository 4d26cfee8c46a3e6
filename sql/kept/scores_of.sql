-- How good are the explanations of some latents? The answer is kept on this connection.
-- Parameters: $run, $hookpoint, $latents (a list, in order; null is all), $first, $last (its ends:
--   first <= latent < last; a range reaches the files, a list does not).
-- Needs: the view scores, and the table of `kept/scores.sql`, which gets these rows too.
insert into temp.scores
select *
from memory.main.scores
where
    run = $run
    and hookpoint = $hookpoint
    and latent >= $first
    and latent < $last
    and ($latents::int[] is null or latent in (select unnest($latents::int[])))
order by latent, explanation_id, selection, scorer, judge, judge_hash, control;

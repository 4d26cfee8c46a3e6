-- What are the scores of a range of a hookpoint's latents, by all of its predictions?
-- Parameters: $files (of the table predictions), $latents (a list, in order; null is all), $first,
--   $last (its ends: first <= latent < last; a range reaches the files, a list does not).
-- Needs: the macro computed_scores.
-- Columns: those of the table kept_scores with run and hookpoint, in order of latent.
select *
from computed_scores($files)
where
    latent >= $first
    and latent < $last
    -- Not a join, which would see scores of all latents of the range before it takes some.
    and ($latents::int[] is null or list_contains($latents::int[], latent))
order by latent, explanation_id, selection, scorer, judge, judge_hash, control;

-- Which scores of a range of latents are kept, but for those of some of them?
-- Parameters: $files (of the table kept_scores), $latents (those left out), $first, $last (half open).
-- Columns: those of the table kept_scores, in order of latent.
select * exclude (run, hookpoint)
from read_parquet($files, hive_partitioning = true, union_by_name = true)
where
    latent >= $first
    and latent < $last
    and latent not in (select unnest($latents::int[]))
order by latent, explanation_id, selection, scorer, judge, judge_hash, control;

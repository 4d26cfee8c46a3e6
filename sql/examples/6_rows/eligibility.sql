-- Which latents can be explained from this selection, and why not the others?
-- Parameters: $latents (those asked for), $min_examples, $max_examples, $activations (files of one
--   bucket).
-- Needs: the temporary table ranked.
-- Columns: those of the table eligibility. A latent that fires in no window that may be shown fires
--   nowhere, or only in what is left of the corpus behind the last whole window.
with asked as (select unnest($latents) as latent),

counted as (
    select
        asked.latent,
        count(ranked.latent) as n_windows
    from asked
    left join ranked
        on asked.latent = ranked.latent
    group by asked.latent
),

silent as (
    select latent
    from counted
    where
        n_windows = 0
        and latent not in (select latent from read_parquet($activations, union_by_name = true))
)

select
    counted.latent,
    case
        when silent.latent is not null then 'dead'
        when least(counted.n_windows, $max_examples) < $min_examples then 'too_few_windows'
        else 'eligible'
    end as code,
    counted.n_windows,
    $min_examples as min_examples
from counted
left join silent
    on counted.latent = silent.latent
order by counted.latent;

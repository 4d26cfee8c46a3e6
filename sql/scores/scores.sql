-- How good is each explanation? One row per explanation, scorer, judge, way it was asked
--   (judge_hash), latent it was judged on, and control.
-- Needs: set variable lake = '<folder or URL>', the macros, and the view examples.
-- Columns: see the table reference in README.md, which gives the formulas and their sources.
create or replace view scores as
select *
from
    computed_scores(
        coalesce(
            getvariable('files').predictions,
            [getvariable('lake') || '/prediction[s_]/*/*/*.parquet']
        )
    );

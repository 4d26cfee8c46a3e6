-- The answer of every scorer on every example: the last one, or the last failure if there is none.
-- Needs: set variable lake = '<folder or URL>', and the macro latest_predictions.
-- Columns: see the table reference in README.md.
create or replace view predictions as
select *
from
    latest_predictions(
        coalesce(
            getvariable('files').predictions,
            [getvariable('lake') || '/prediction[s_]/*/*/*.parquet']
        )
    );

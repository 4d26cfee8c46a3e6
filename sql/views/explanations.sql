-- The outcome of every explanation: its last text, or its last failure if it never had one.
-- Needs: set variable lake = '<folder or URL>'.
-- Columns: see the table reference in README.md.
create or replace view explanations as
with stored as (
    -- In files of version 4 and before, explainer_model is called model, and n_shown n_examples.
    select
        * exclude (model, n_examples)
        replace (
            coalesce(explainer_model, model) as explainer_model,
            coalesce(n_shown, n_examples) as n_shown
        )
    from read_parquet(
        coalesce(
            getvariable('files').explanations,
            [getvariable('lake') || '/explanation[s_]/*/*/*.parquet']
        ),
        hive_partitioning = true,
        union_by_name = true,
        hive_types = {'run': varchar, 'hookpoint': varchar}
    )
)

select *
from stored
qualify row_number() over (
    partition by run, hookpoint, explanation_id
    order by
        (failure is null) desc,
        coalesce(generation, 0) desc,
        written_at desc,
        request
) = 1;

-- In which documents do windows of latents stand?
-- Needs: the table window_documents.
-- Makes the temporary table macro documents_of(windows, length): latent, position, document; a
--   pair may come twice. `windows` names a table with latent and position (first token); they are `length` tokens
--   long, and reach into one aligned window or two.
create or replace temp macro documents_of(windows, length) as table
with reached as (
    select
        latent,
        position,
        position // length as "window"
    from query_table(windows)
    union all
    select
        latent,
        position,
        position // length + 1 as "window"
    from query_table(windows)
    where position % length > 0
)

select
    latent,
    position,
    document
from reached
inner join window_documents using ("window")
where first < position + length and after > position;

-- In which windows does each latent fire most, and in which contexts are they?
-- Needs: the view windows, and the macro run_settings.
-- Columns: see the table reference in README.md. Filter by latent: files are sorted by it. Their
--   text: window_text(run, position, example_ctx_len).
create or replace view top_windows as
select
    windows.run,
    windows.hookpoint,
    windows.example_ctx_len,
    windows.latent,
    windows.place,
    windows.position,
    windows.position // settings.cache_ctx_len as context,
    windows.position % settings.cache_ctx_len as "offset",
    windows.max_activation
from windows
inner join run_settings() as settings using (run);

-- What do the tokens of a window read?
-- Parameters: of_run, of_position (position of its first token), of_length (tokens).
-- Needs: the views contexts and vocabulary, and the macro run_settings.
-- Gives a text, of as many tokens as there are; null where there is none.
-- The values are first given names that no column has: an argument `run` would else be taken for the
--   column of that name here, and every run be read.
create or replace macro window_text(of_run, of_position, of_length) as (
    with asked as (
        select
            of_run as asked_run,
            of_position as asked_first,
            of_position + of_length as asked_after
    ),

    reached as (
        select
            asked.asked_run,
            asked.asked_first,
            asked.asked_after,
            settings.cache_ctx_len,
            unnest(
                range(
                    asked.asked_first // settings.cache_ctx_len,
                    (asked.asked_after - 1) // settings.cache_ctx_len + 1
                )
            ) as context
        from asked
        inner join run_settings() as settings
            on asked.asked_run = settings.run
    ),

    placed as (
        select
            reached.asked_run,
            reached.asked_first,
            reached.asked_after,
            reached.context * reached.cache_ctx_len
            + unnest(range(len(contexts.tokens))) as position,
            unnest(contexts.tokens) as token
        from reached
        inner join contexts
            on reached.asked_run = contexts.run
            and reached.context = contexts.context
    )

    select string_agg(vocabulary.str_token, '' order by placed.position)
    from placed
    inner join vocabulary
        on placed.asked_run = vocabulary.run
        and placed.token = vocabulary.token
        -- What does not occur in the run is not read: most of a large vocabulary.
        and vocabulary."count" > 0
    where placed.position >= placed.asked_first and placed.position < placed.asked_after
);

-- Does an explanation say that there is no clear pattern?
-- Parameters: explanation. Null for none.
-- Prompts from version 2 on allow that answer. It is an explanation, not a failure: of a latent that
--   fires at random it is the right one.
create or replace macro no_pattern(explanation) as
    starts_with(lower(explanation), 'no clear pattern');

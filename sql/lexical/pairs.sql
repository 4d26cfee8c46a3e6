-- How often does one token stand just before another?
-- Parameters: none.
-- Needs: the temporary table positions.
-- Columns: preceding, token, n; ordered by both tokens.
select
    preceding,
    token,
    count(*) as n
from positions
where preceding is not null
group by preceding, token
order by preceding, token;

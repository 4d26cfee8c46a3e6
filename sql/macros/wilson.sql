-- Wilson's score interval, 95%, of a share seen in n independent answers.
-- Parameters: share (0 to 1), n (need not be whole: an effective sample size will do).
-- Result: a struct of low and high, of some width at 0 and 1 too; null when share is null or n is
--   not above 0.
-- Source: Wilson 1927; with an effective sample size, Korn and Graubard 1998.
create or replace macro wilson(share, n) as case
    when share is not null and n > 0
        then {
            'low': greatest(
                0,
                (
                    share + normal95() ** 2 / (2 * n)
                    - normal95() * sqrt(share * (1 - share) / n + normal95() ** 2 / (4 * n ** 2))
                ) / (1 + normal95() ** 2 / n)
            ),
            'high': least(
                1,
                (
                    share + normal95() ** 2 / (2 * n)
                    + normal95() * sqrt(share * (1 - share) / n + normal95() ** 2 / (4 * n ** 2))
                ) / (1 + normal95() ** 2 / n)
            )
        }
end;

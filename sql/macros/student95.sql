-- Student's quantile of 0.975, for a 95% interval of a mean; null for fewer than 2 degrees of
--   freedom.
-- Parameters: df (degrees of freedom; need not be whole).
-- Source: Cornish and Fisher's expansion, as Abramowitz and Stegun 1964, 26.7.5; 6% short at 2
--   degrees of freedom, 0.8% at 3, 0.1% at 5.
create or replace macro student95(df) as case
    when df >= 2
        then normal95()
            + (normal95() ** 3 + normal95()) / (4 * df)
            + (5 * normal95() ** 5 + 16 * normal95() ** 3 + 3 * normal95()) / (96 * df ** 2)
            + (
                3 * normal95() ** 7
                + 19 * normal95() ** 5
                + 17 * normal95() ** 3
                - 15 * normal95()
            ) / (384 * df ** 3)
end;

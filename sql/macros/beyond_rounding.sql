-- A sum of differences, 0 unless it is above what rounding leaves of one that is none.
-- Parameters: difference, size (sum of what was subtracted). Sums are added up in the order in which
--   threads end, so that a decision by the sign of a difference would go either way from try to try.
create or replace macro beyond_rounding(difference, size) as case
    when difference > 1e-9 * size then difference
    else 0
end;

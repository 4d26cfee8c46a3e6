-- The normal distribution's quantile of 0.975: half the width of a 95% interval, in standard
--   errors.
create or replace macro normal95() as 1.959963984540054;

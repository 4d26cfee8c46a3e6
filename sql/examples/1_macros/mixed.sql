-- How is a number of 32 bits mixed?
-- Makes the temporary macro mixed(x): 32 bits, others for every other x.
create or replace temp macro mixed(x) as (xor(x, x >> 16) * 73244475) & 4294967295;

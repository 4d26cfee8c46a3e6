-- How much activation does a test window stand for, up to what is the same for all of its bin?
-- Parameters: activations (of the window's tokens), n_in_bin, source (as in the table examples).
-- Its own activation, of all tokens and by magnitude, times the windows of its bin, of which it was
--   drawn; still to be divided by how many of the bin were drawn. Selections that do not say how many
--   windows a bin has had rank bins of one size, unless they are of ranges of activation or of a
--   sampler of one's own: then null.
create or replace macro drawn_mass(activations, n_in_bin, source) as
coalesce(n_in_bin, case when source = 'quantiles' then 1 end)
* list_sum(list_transform(activations, lambda activation: abs(activation::double)));

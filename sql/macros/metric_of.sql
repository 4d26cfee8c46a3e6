-- By which metric is a shipped scorer to be read?
-- Parameters: scorer. Null for a scorer of one's own.
-- Balanced accuracy where it answers yes or no, accuracy where it picks one of several, the correlation
--   where it simulates, AUROC where it gives numbers that only rank.
create or replace macro metric_of(scorer) as case scorer
    when 'detection' then 'balanced_accuracy'
    when 'fuzz' then 'balanced_accuracy'
    when 'intruder' then 'accuracy'
    when 'discrimination' then 'accuracy'
    when 'simulation' then 'correlation'
    when 'surprisal' then 'auroc'
    when 'embedding' then 'auroc'
    when 'example_embedding' then 'auroc'
end;

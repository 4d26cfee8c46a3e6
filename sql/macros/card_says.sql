-- What does the card of a judge say in words?
-- Parameters: judge (of the card; null without a card), failed_share, auroc_low, auroc_high.
create or replace macro card_says(judge, failed_share, auroc_low, auroc_high) as case
    when judge is null then 'never calibrated'
    when failed_share = 1 then 'no usable answer'
    when auroc_low is null then 'on too few latents'
    when auroc_high < 0.5 then 'below chance'
    when auroc_low <= 0.5 then 'at chance'
    else 'tells windows apart'
end;

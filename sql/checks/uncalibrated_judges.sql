-- Which LLMs have judged here whose answers say nothing yet: never calibrated, or at chance?
-- Parameters: $run, $hookpoint, $scorers (those whose judges are calibrated), $n_rows (most rows shown).
-- Columns: scorer, judge, judge_hash, predictions, what is wrong, and of its card the AUROC with its
--   95% interval (null without a card, or with one of too few latents).
-- Of several cards that on most latents counts, of equal ones the last.
-- A judge is an LLM where an answer came from a completion; one that counts has no card.
with asked as (
    select
        scorer,
        judge,
        judge_hash,
        count(*) as n_predictions
    from predictions
    where
        run = $run
        and hookpoint = $hookpoint
        and list_contains($scorers, scorer)
    group by scorer, judge, judge_hash
    having count(request) > 0
),

cards as (
    select
        scorer,
        judge,
        judge_hash,
        arg_max(
            struct_pack(auroc, auroc_low, auroc_high, failed_share),
            (coalesce(n_latents, 0), written_at, planted_run)
        ) as card
    from judges
    where run = $run
    group by scorer, judge, judge_hash
)

select
    asked.scorer,
    asked.judge,
    asked.judge_hash,
    asked.n_predictions,
    card_says(
        cards.judge, cards.card.failed_share, cards.card.auroc_low, cards.card.auroc_high
    ) as problem,
    cards.card.auroc,
    cards.card.auroc_low,
    cards.card.auroc_high
from asked
left join cards
    on asked.scorer = cards.scorer
    and asked.judge = cards.judge
    and asked.judge_hash = cards.judge_hash
where problem <> 'tells windows apart'
order by asked.scorer, asked.judge, asked.judge_hash
limit $n_rows;

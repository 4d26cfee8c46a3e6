"""What calls come to: ledgers and budgets of a run, and estimates beforehand."""

"""Translation engines, and the budgets, languages and batches that they share."""

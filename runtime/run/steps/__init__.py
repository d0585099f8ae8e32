"""The step of a batch for each kind of table: bronze appends, silver upserts, gold merges."""

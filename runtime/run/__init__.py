"""Make the next state: plan, batches, steps of each kind of table, compaction."""

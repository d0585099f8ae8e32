"""What a batch does to each kind of table: bronze delivers, silver upserts, gold merges."""

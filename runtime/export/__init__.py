"""The copy of the star schema in PostgreSQL: whole the first time, then what changed."""

"""Read a published state: snapshot, SQL, keys, diff, trace."""

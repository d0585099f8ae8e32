"""The published states and the right to write: facts, lease, publish, rollback, history."""

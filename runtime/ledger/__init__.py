"""What is published and who may write: facts, lease, publish, rollback, history."""

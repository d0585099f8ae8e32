"""Values, amounts, HTML and name suggestions as text."""

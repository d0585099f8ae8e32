"""Other ways to the same star schema, written as their users write them, and made to give the right rows.

Each is a script: `python benchmarks/peers/NAME.py SONGS LOGS OUT`. None keeps bronze, silver, lineage,
quarantine or history.
"""

"""The prompt of `query`: statements and a few commands, one after the other, over one snapshot at a time.

Only here is prompt_toolkit loaded.
"""

"""The interactive prompt of `query`: statements and a few commands, over one snapshot at a time.

Only this package imports prompt_toolkit.
"""

"""Records as delivered: the raw text, its file and its line. Bronze only grows."""

from bronze import log_data, song_data

TABLES = (song_data.TABLE, log_data.TABLE)

"""The star schema: song plays and the four dimensions around them.

`TABLES` lists every table of the lake, all layers: a new gold table is one module and one line here.
"""

import bronze
import silver
from gold import artists, songplays, songs, time, users

GOLD = (songplays.TABLE, users.TABLE, songs.TABLE, artists.TABLE, time.TABLE)

TABLES = {table.name: table for table in (*bronze.TABLES, *silver.TABLES, *GOLD)}

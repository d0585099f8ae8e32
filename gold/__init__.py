"""The star schema: song plays and the four dimensions around them; and what else analysts ask for.

`STAR` is what an export copies. `TABLES` lists every table of the lake, all layers: a new gold table is
one module and one line here.
"""

import bronze
import silver
from gold import artists, songplays, songs, time, user_levels, users

STAR = (songplays.TABLE, users.TABLE, songs.TABLE, artists.TABLE, time.TABLE)
GOLD = (*STAR, user_levels.TABLE)

TABLES = {table.name: table for table in (*bronze.TABLES, *silver.TABLES, *GOLD)}

"""Records parsed, typed, cleaned, validated and deduplicated; what fails a rule is in quarantine."""

from silver import events, quarantine, songs

TABLES = (songs.TABLE, events.TABLE, quarantine.TABLE)

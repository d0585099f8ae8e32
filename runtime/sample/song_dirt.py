"""Faults of song deliveries, and songs that arrive after their plays."""

from collections import Counter
from random import Random

from runtime.sample import vocabulary
from runtime.sample.catalogue import Ids, Song
from runtime.sample.plays import Play, PlayPicker

SONGS_PER_LATE_SONG = 100


def dirty_songs(rng: Random, ids: Ids, songs: list[Song], counts: Counter[str]) -> list[Song]:
    """Records to deliver with `songs`: one without a title, one that repeats a song with another year."""
    untitled = songs[0]._replace(song_id=ids.song(rng), artist_id=ids.artist(rng), title="")
    redated = songs[-1]._replace(year=songs[-1].year + 1 if songs[-1].year else 1999)
    counts.update(song_without_title=1, song_in_two_files=1)
    return [untitled, redated]


def late_songs(
    rng: Random, ids: Ids, jukebox: PlayPicker, heard: list[Play], counts: Counter[str]
) -> list[Song]:
    """Records to deliver after the logs with the plays in `heard`.

    Songs of plays without one, the first by an existing artist; songs with a new title that no longer match
    their plays, or match others; and one unchanged song again. Adds the number of each kind to `counts`.
    """
    known = [jukebox.song_of[play] for play in heard if play in jukebox.song_of]
    unknown = [play for play in heard if jukebox.is_uncatalogued(play)]
    late = 1 + len(jukebox.song_of) // SONGS_PER_LATE_SONG
    artists = [song.artist_id for song in known[:1]] + [ids.artist(rng) for _ in range(late)]
    firsts = zip(artists, unknown[:late], strict=False)
    onto = zip(known[3:5], unknown[late:], strict=False)
    made = {
        "late_song": [late_song(rng, ids, artist_id, play) for artist_id, play in firsts],
        "retitled_song": [retitled(rng, song) for song in known[:3]],
        "renamed_song": [renamed(song, play) for song, play in onto],
        "repeated_song": known[5:6],
    }
    counts.update({kind: len(songs) for kind, songs in made.items()})
    return [song for songs in made.values() for song in songs]


def late_song(rng: Random, ids: Ids, artist_id: str, play: Play) -> Song:
    """The song of a play; complete and recent, so that its spelling of the artist wins."""
    return Song(
        num_songs=1,
        artist_id=artist_id,
        artist_latitude=12.5,
        artist_longitude=-48.25,
        artist_location=vocabulary.town(rng),
        artist_name=play.artist,
        song_id=ids.song(rng),
        title=play.title,
        duration=play.length,
        year=2012,
    )


def retitled(rng: Random, song: Song) -> Song:
    return song._replace(title=f"{song.title} ({vocabulary.word(rng)} Mix)")


def renamed(song: Song, play: Play) -> Song:
    return song._replace(title=play.title, artist_name=play.artist, duration=play.length)

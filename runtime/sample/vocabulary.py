"""Invented names of people, towns, artists and songs."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

ONSETS = ("b", "br", "d", "dr", "f", "gl", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
CODAS = ("", "l", "n", "r", "s", "th", "x", "nd", "ck", "m")
FOREIGN = (
    "Coraçá",
    "Brévelle",
    "Mañúra",
    "Sølvik",
    "Grünfass",
    "Irmão Tupá",
    "Zélande",
    "日本の灯",
    "Łomnika",
    "Pássaró",
)
TAILS = ("(Live)", "(Album Version)", "/ Reprise", "Pt. 2", '"Nocturne"', "(2004 Remaster)", "A/B")
BANDS = ("The {}s", "{} Trio", "{} & {}", "DJ {}", "{} Orchestra", "{}/{}")
REGIONS = ("EV", "KR", "TL", "OS", "BW", "UQ", "ZH", "PN")
FOREIGN_SHARE = 0.15
# Rude words that syllables can form by chance, and their replacements.
MILDER = {
    "dick": "dilk",
    "fuck": "fulk",
    "homo": "hono",
    "nazi": "nari",
    "peni": "pemi",
    "rape": "rabe",
    "sex": "sel",
}


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items`, by `random()` only: its stream is the same in every version of Python."""
    return items[int(rng.random() * len(items))]


def word(rng: Random) -> str:
    """One capitalised word of two or three syllables."""
    count = 2 + int(rng.random() * 2)
    syllables = [pick(rng, ONSETS) + pick(rng, VOWELS) for _ in range(count)]
    spelt = "".join(syllables) + pick(rng, CODAS)
    for rude, mild in MILDER.items():
        spelt = spelt.replace(rude, mild)
    return spelt.capitalize()


def title(rng: Random) -> str:
    """A song title; some contain slashes, quotes or letters outside ASCII."""
    words = [word(rng) for _ in range(1 + int(rng.random() * 3))]
    if rng.random() < FOREIGN_SHARE:
        words.append(pick(rng, FOREIGN))
    if rng.random() < 0.2:
        words.append(pick(rng, TAILS))
    return " ".join(words)


def artist(rng: Random) -> str:
    """An artist name; some contain slashes or letters outside ASCII."""
    name = word(rng)
    if rng.random() < FOREIGN_SHARE:
        name = f"{pick(rng, FOREIGN)} {name}"
    if rng.random() < 0.4:
        return pick(rng, BANDS).format(name, word(rng))
    return f"{name} {word(rng)}"


def town(rng: Random) -> str:
    """A town with its region, `Brelund-Tasor, KR`."""
    name = word(rng) if rng.random() < 0.5 else f"{word(rng)}-{word(rng)}"
    return f"{name}, {pick(rng, REGIONS)}"


def seconds(rng: Random) -> float:
    """A song length in seconds: 60 to 420, with five decimals as in the real catalogue."""
    return (6_000_000 + int(rng.random() * 36_000_000)) / 100_000

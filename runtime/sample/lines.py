"""Events as the JSON lines of log_data."""

from runtime.sample.people import User
from runtime.sample.plays import log_json
from runtime.sample.sessions import Event

# Page → method and HTTP status; other pages are ("GET", 200).
ANSWERS = {
    "NextSong": ("PUT", 200),
    "Login": ("PUT", 307),
    "Logout": ("PUT", 307),
    "Save Settings": ("PUT", 307),
    "Submit Upgrade": ("PUT", 307),
    "Submit Downgrade": ("PUT", 307),
    "Error": ("GET", 404),
}
PersonJson = tuple[str, str, str, str, str]
LOGGED_OUT: PersonJson = (
    '"auth":"Logged Out","firstName":null,"gender":null',
    '"lastName":null',
    '"location":null',
    '"registration":null',
    '"userAgent":null,"userId":""}',
)


def person_json(user: User) -> PersonJson:
    """The parts of a line that all records of `user` share."""
    first, last, gender = log_json(user.first_name), log_json(user.last_name), user.gender
    return (
        f'"auth":"Logged In","firstName":{first},"gender":"{gender}"',
        f'"lastName":{last}',
        f'"location":{log_json(user.location)}',
        f'"registration":{user.registration!r}',
        f'"userAgent":{log_json(user.agent)},"userId":"{user.user_id}"}}',
    )


class Lines:
    """Formats events as lines, with a cache of the parts that lines of a user share."""

    def __init__(self) -> None:
        self._people: dict[User, PersonJson] = {}

    def line(self, event: Event) -> str:
        """The line of an event, ASCII, without line end."""
        user, session_id, item, ts, page, level, play = event
        who, last_name, location, registration, agent = self._person(user)
        method, status = ANSWERS.get(page, ("GET", 200))
        artist, title, length = "null", "null", "null"
        if play:
            artist, title, length = play.artist_json, play.title_json, repr(play.length)
        return (
            f'{{"artist":{artist},{who},"itemInSession":{item},{last_name},"length":{length},'
            f'"level":"{level}",{location},"method":"{method}","page":"{page}",{registration},'
            f'"sessionId":{session_id},"song":{title},"status":{status},"ts":{ts},{agent}'
        )

    def _person(self, user: User | None) -> PersonJson:
        if user is None:
            return LOGGED_OUT
        person = self._people.get(user)
        if person is None:
            person = self._people[user] = person_json(user)
        return person

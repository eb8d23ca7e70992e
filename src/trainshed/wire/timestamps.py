"""Points in time as AWS protocols write them: epoch seconds, ISO 8601, RFC 822."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime


def parse_timestamp(text: str, form: str | None = None) -> datetime:
    """Return the point in time (UTC) that ``text`` names, in ``form`` or in any of the three.

    Raises:
        ValueError: it names none, or one outside of the years 1 to 9999.
    """
    if form == "rfc822" or (form is None and text[:1].isalpha()):
        try:
            return parsedate_to_datetime(text).astimezone(UTC)
        except (TypeError, OverflowError) as error:
            raise ValueError(f"not an RFC 822 date: {text}") from error
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"out of range: {text}") from error


def epoch(value: datetime) -> float:
    """Return seconds since 1970, to the millisecond.

    Raises:
        ValueError: ``value`` has no time zone.
    """
    return round(_aware(value).timestamp(), 3)


def render_timestamp(value: datetime, form: str) -> str:
    """Return ``value`` as text: ``iso8601``, ``rfc822`` or ``unixTimestamp``.

    Raises:
        ValueError: ``value`` has no time zone.
    """
    moment = _aware(value)
    if form == "rfc822":
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    if form == "unixTimestamp":
        return f"{epoch(moment):.3f}".rstrip("0").rstrip(".")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError(f"a timestamp without time zone: {value.isoformat()}")
    return value.astimezone(UTC)

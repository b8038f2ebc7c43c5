"""Query parameters, read the way the API reads them."""

from __future__ import annotations

from urllib.parse import parse_qsl

from sync_service.emulators.google.errors import invalid_parameter, out_of_range, required

_LARGEST = 2_147_483_647


class Query:
    """The parameters of one request; the last of a repeated name counts, unless asked for all."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._values = dict(pairs)

    @classmethod
    def parse(cls, text: str) -> Query:
        """The parameters in a query string or form body."""
        return cls(parse_qsl(text, keep_blank_values=True)) if text else cls([])

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """A text, or None."""
        return self._values.get(name)

    def need(self, name: str) -> str:
        """A text that must be there."""
        value = self._values.get(name)
        if not value:
            raise required("Required")
        return value

    def many(self, name: str) -> list[str]:
        """All values of a repeatable name."""
        return [value for key, value in self.pairs if key == name]

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        value = self._values.get(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise invalid_parameter(name, f"Invalid boolean value: '{value}'.")
        return value.lower() == "true"

    def number(self, name: str, low: int = 1, high: int = _LARGEST) -> int | None:
        """A whole number within a range."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            number = int(value)
        except ValueError:
            raise invalid_parameter(name, f"Invalid integer value: '{value}'.") from None
        if not low <= number <= high:
            raise out_of_range(name, value, low, high)
        return number

    def choice(self, name: str, values: frozenset[str]) -> str | None:
        """One of a few words."""
        value = self._values.get(name)
        if value is not None and value not in values:
            raise invalid_parameter(name, f"Invalid string value: '{value}'.")
        return value

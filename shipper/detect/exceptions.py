"""What the settings leave out: proxies, accounts and sources that do not count."""

from __future__ import annotations

from collections.abc import Callable

from shipper.addresses import among
from shipper.detect.settings import Settings


class Exceptions:
    """What the settings leave out."""

    def __init__(self, settings: Settings) -> None:
        """Read the exceptions once."""
        self.is_proxy = among(settings.trusted_proxies)
        self._from_ignored = among(settings.ignore_sources)
        self._anywhere: set[str] = set()
        self._somewhere: dict[str, list[Callable[[str], bool]]] = {}
        for text in settings.ignore_accounts:
            user, at, where = text.rpartition("@")
            if at and user:
                self._somewhere.setdefault(user, []).append(_place(where))
            else:
                self._anywhere.add(text)

    def ignores(self, user: str, source: str) -> bool:
        """Tell whether logins of this account from there do not count."""
        return (
            user in self._anywhere
            or self._from_ignored(source)
            or any(within(source) for within in self._somewhere.get(user, ()))
        )


def _place(text: str) -> Callable[[str], bool]:
    try:
        return among((text,))
    except ValueError:  # a host name
        return lambda source: source == text

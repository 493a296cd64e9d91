"""What setup asks of a cluster, and what it says of each object there."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct

from shipper.sink.opensearch_wire import StatusError

Said = TypeVar("Said")


class Caller(Protocol):
    """What setup needs of a cluster."""

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        """Make one call. Raises StatusError where the answer is not 2xx."""
        ...


class State(StrEnum):
    """How setup found, or left, one object."""

    SAME = "unchanged"
    MADE = "created"
    RENEWED = "updated"
    KEPT = "kept"  # the operator's own
    NEWER = "newer"  # written by a later version of this program: left alone
    FOREIGN = "foreign"
    HELD = "held back"  # a part of it is not as it should be
    OVERRULED = "overruled"  # is there, and does not take effect
    DENIED = "denied"
    ABSENT = "absent"  # the cluster has no such thing: the ISM plugin


# States in which the object is not what the sink needs.
TROUBLES: Final = (State.FOREIGN, State.HELD, State.OVERRULED, State.DENIED, State.ABSENT)


class Step(Struct, frozen=True):
    """What came of one object."""

    state: State
    path: str
    body: dict[str, Any]
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What is to be said of it."""
        return self.detail or f"{self.path}: {self.state}"


def troubles(steps: list[Step]) -> list[str]:
    """Give what is not as the sink needs it; each once, for one right may hinder many objects."""
    return list(dict.fromkeys(step.sentence for step in steps if step.state in TROUBLES))


def seen(cluster: Caller, method: str, path: str, **params: str) -> bytes | None:
    """Ask for something that the account need not be allowed to see; None where it may not.

    Also None where there is nothing of that name. Raises StatusError for any other failure.
    """
    try:
        return cluster.call(method, path, None, params)
    except StatusError as error:
        if error.status in (403, 404):
            return None
        raise


def read_as(type_: type[Said], path: str, answer: bytes) -> Said:
    """Read an answer to a call of `path`.

    Raises StatusError where OpenSearch cannot have said that: a login page comes with 200 too.
    """
    try:
        return msgspec.json.decode(answer, type=type_)
    except msgspec.DecodeError as error:
        raise StatusError(path, 200, answer, None) from error

"""What the HTTP endpoint answers with: requests, replies, and the routes of metrics and health."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Request(NamedTuple):
    """What a route may know of a request."""

    path: str
    accept: str


class Reply(NamedTuple):
    """What a route answers."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()  # beside those of every reply


class Route(NamedTuple):
    """One path."""

    answer: Callable[[Request], Reply]
    public: bool = False  # needs no password


Routes = dict[str, Route]
Reasons = Callable[[], Sequence[str]]


def metrics_route(collect: Callable[[], Iterable[Metric]], unready: Reasons = list) -> Route:
    """Answer with the metrics, as OpenMetrics where the client asks for it.

    While there is a reason in `unready`: 503. So `up` is 0 where a part of the metrics is not there
    yet: to the rules, a series with fewer samples than good scrapes was born at its value.
    """

    class _Now(Collector):
        def collect(self) -> Iterable[Metric]:
            return collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now())

    def answer(request: Request) -> Reply:
        if reasons := unready():
            return _unavailable(reasons)
        encode, content_type = choose_encoder(request.accept)
        return Reply(encode(registry), content_type)

    return Route(answer)


def health_route(reasons: Reasons) -> Route:
    """Answer 200 where nothing is wrong, else 503 with a line for each reason."""

    def answer(_request: Request) -> Reply:
        wrong = reasons()
        if not wrong:
            return Reply(b"ok\n")
        return _unavailable(wrong)

    return Route(answer, public=True)


def _unavailable(reasons: Sequence[str]) -> Reply:
    body = "".join(f"{reason}\n" for reason in reasons).encode("utf-8", "backslashreplace")
    return Reply(body, status=HTTPStatus.SERVICE_UNAVAILABLE)

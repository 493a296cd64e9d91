"""Answers to bulk requests. Pure: bytes in, values out.

    {"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409,"error":{…}}}]}

Rule for editing: this file decides what an answer means, and nothing else does. The reasons stand
in docs/opensearch.md, in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.sink.base import Refusal
from shipper.sink.opensearch_body import Body

# Everything that `read` looks at, and nothing else: a tenth of the full answer.
FILTER_PATH: Final = (
    "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"
)
# Of a server's words that are kept: a screen's worth.
DETAIL_MAX: Final = 600


class _Cause(Struct, frozen=True):
    reason: str | None = None


class _Error(Struct, frozen=True):
    type: str = ""
    reason: str | None = None
    caused_by: _Cause = _Cause()

    @property
    def said(self) -> str:
        """The server's words; those of the cause say what a script or a parser stumbled over."""
        causes = f" ({self.caused_by.reason})" if self.caused_by.reason else ""
        named = ": ".join(filter(None, (self.type, self.reason)))
        return f"{named}{causes}"[:DETAIL_MAX]


class _Outcome(Struct, frozen=True):
    status: int
    error: _Error = _Error()


class _Item(Struct):
    create: _Outcome


class _Reply(Struct):
    items: list[_Item]


class _Failure(Struct):
    """What OpenSearch answers when a whole request fails."""

    error: _Error | str = ""


class Reading(Struct):
    """What an answer says about the documents of a body."""

    new: Sequence[int]  # offsets
    duplicates: list[int]
    refusals: list[Refusal]
    again: list[int]  # to be sent again
    # The error to raise for those of `again`, None where there are none.
    failure: ShipperError | None = None


_decode_reply: Final = msgspec.json.Decoder(_Reply).decode
_CREATED: Final = b'{"create":{"status":201}}'
_decode_failure: Final = msgspec.json.Decoder(_Failure).decode


def read(answer: bytes, body: Body) -> Reading:
    """Read the answer to a bulk request.

    Raises UnavailableError (protocol) where it is not one: cut, HTML, another count of items. What
    was stored nevertheless answers 409 next time.
    """
    if answer == all_created(len(body.offsets)):
        return Reading(body.offsets, [], [], [])
    try:
        items = _decode_reply(answer).items
    except msgspec.DecodeError as error:
        text = f"the answer is not one to a bulk request ({error}): {_excerpt(answer)}"
        raise UnavailableError(text, reason="protocol") from error
    if len(items) != len(body.offsets):
        text = f"{len(body.offsets)} documents were sent, {len(items)} answered"
        raise UnavailableError(text, reason="protocol")
    new: list[int] = []
    reading = Reading(new, [], [], [])
    for offset, item in zip(body.offsets, items, strict=True):
        if item.create.status < 300:
            new.append(offset)
        else:
            _sort(reading, offset, item.create)
    if reading.refusals:
        documents = dict(zip(body.offsets, body.split[1::2], strict=True))
        reading.refusals = [
            each._replace(document=documents[each.offset].rstrip()) for each in reading.refusals
        ]
    return reading


def all_created(count: int) -> bytes:
    """Give what OpenSearch answers nearly always: comparing costs a thirtieth of parsing it."""
    return b'{"errors":false,"items":[%b%b]}' % ((_CREATED + b",") * (count - 1), _CREATED)


def _sort(reading: Reading, offset: int, outcome: _Outcome) -> None:
    """Put a document that is not new where its outcome belongs."""
    status, kind = outcome.status, outcome.error.type
    if status == 409 and kind == "version_conflict_engine_exception":
        reading.duplicates.append(offset)
    elif (failure := _systemic(status, outcome.error)) is not None:
        reading.again.append(offset)
        # One that waiting does not mend says more than one that it does.
        if reading.failure is None or isinstance(failure, MisconfiguredError):
            reading.failure = failure
    else:
        detail = f"{status} {outcome.error.said}"
        reading.refusals.append(Refusal(offset, _refusal(status, kind), detail))


# Errors that a record did not cause, though they come with an item and a status of 400 or so:
# the next record would get them too, so that it is not the record that has to go.
_BLOCKED: Final = {
    "cluster_block_exception": "the index or the cluster is blocked (read-only, disk full)",
    "index_closed_exception": "the index is closed: open it",
    "index_not_found_exception": "the index does not exist and may not be made by itself: "
    "see action.auto_create_index",
    "validation_exception": "the cluster refuses to make the index (shard limit?)",
}
_MISCONFIGURED: Final = {
    "security_exception": "the user lacks a right: see docs/opensearch.md",
    "invalid_index_name_exception": "the index name is not allowed: change `index`",
}
# `illegal_argument_exception` says everything and nothing: these begin the sentences that are
# about the configuration.
_SENTENCES: Final = ("pipeline with id", "no write index is defined", "only write ops with an op_")

# Come with 500, but it is the operator's pipeline that does not want this very document: the
# processors `fail` and `dissect`.
_OF_THE_PIPELINE: Final = ("fail_processor_exception", "find_match")


def _systemic(status: int, error: _Error) -> ShipperError | None:
    kind, said = error.type, f"{status} {error.said}"
    if kind in _BLOCKED:
        return UnavailableError(f"{_BLOCKED[kind]}; the server: {said}", reason="rejected")
    if kind in _MISCONFIGURED:
        return MisconfiguredError(f"{_MISCONFIGURED[kind]}; the server: {said}")
    if kind == "illegal_argument_exception" and (error.reason or "").startswith(_SENTENCES):
        return MisconfiguredError(f"the index or pipeline is not as configured; the server: {said}")
    if status == 429:
        return UnavailableError(f"the server is busy: {said}", reason="throttled")
    if (status >= 500 and kind not in _OF_THE_PIPELINE) or status in (408, 409):
        return UnavailableError(f"the server could not store it: {said}")
    return None


def _refusal(status: int, kind: str) -> str:
    if status == 413:
        return "too_large"
    if "mapp" in kind or kind in ("document_parsing_exception", "illegal_argument_exception"):
        return "mapping"
    return "invalid" if status == 400 else "other"


class StatusError(ShipperError):
    """An answer with another status than 2xx, before anybody has said what it means."""

    def __init__(self, url: str, status: int, answer: bytes, retry_after: float | None) -> None:
        """Keep what the answer says."""
        super().__init__(f"{url} answered {status}: {explained(answer)}")
        self.status = status
        self.answer = answer
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """OpenSearch's name for the error; "" where it was not OpenSearch who answered."""
        return _failure_of(self.answer).type

    @property
    def passing(self) -> bool:
        """Another node may answer better: a gateway without a server, a page from elsewhere.

        A password is not tried at the next one too: that locks accounts.
        """
        if self.status in (502, 503, 504):
            return True
        failure = _failure_of(self.answer)
        return not (failure.type or failure.reason) and self.status not in (401, 413, 429)


def judged(error: StatusError, *, proven: bool) -> ShipperError:
    """Say what a failed request means.

    `proven`: this cluster has taken documents from us before, so that the configuration was right,
    and what answers now (a login page, a redirect, a proxy's 404) is rather an outage.
    """
    status, text, after = error.status, str(error), error.retry_after
    if error.kind in _BLOCKED:
        return UnavailableError(f"{_BLOCKED[error.kind]}; {text}", reason="rejected")
    if status >= 500 or status in (408, 429):
        reason = "throttled" if status == 429 else "unavailable"
        return UnavailableError(text, retry_after=after, reason=reason)
    if status == 401 or (status == 403 and error.kind):
        hint = "the user lacks a right: see docs/opensearch.md, The account"
        if status == 401:
            hint = "the login was refused: check username and password, or whatever it logs in with"
        return MisconfiguredError(f"{hint}; {text}")
    if proven:
        return UnavailableError(text, retry_after=after, reason="protocol")
    if status == 403:
        return MisconfiguredError(
            f"a proxy, or a managed service's access policy, forbids it: {text}"
        )
    hint = " (a redirect: write the url that it leads to)" if 300 <= status < 400 else ""
    return MisconfiguredError(f"this does not look like OpenSearch{hint}: {text}")


def _failure_of(answer: bytes) -> _Error:
    try:
        error = _decode_failure(answer).error
    except msgspec.DecodeError:
        return _Error()
    return _Error(reason=error) if isinstance(error, str) else error


def explained(answer: bytes) -> str:
    """Give OpenSearch's own words for a failure, or the beginning of what came instead."""
    error = _failure_of(answer)
    if error.type or error.reason:
        return error.said
    return _excerpt(answer)


def _excerpt(answer: bytes) -> str:
    return answer[:120].decode("utf-8", "backslashreplace") or "(nothing)"

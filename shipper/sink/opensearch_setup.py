"""Setup: get, compare, put. Runs at every start and as `audit-shipper setup opensearch`.

It writes what is missing or an older version of ours, so a second run writes nothing. An object of
the same name that this program did not make is reported and left alone, and so is a template that
would have it as a part. Calls made, and no others: GET and PUT of the templates, of the ISM policy,
what opensearch_effect.py asks for, and (`retention: own`) what opensearch_retention.py says.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

from shipper.document.fields import VERSION
from shipper.sink.opensearch_effect import effects
from shipper.sink.opensearch_resources import (
    MANAGED_BY,
    Resource,
    is_ours,
    policy,
    same,
    templates,
)
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_steps import TROUBLES, Caller, State, Step, read_as
from shipper.sink.opensearch_wire import StatusError


class _Component(Struct):
    component_template: dict[str, Any]


class _Index(Struct):
    index_template: dict[str, Any]


class _Templates(Struct):
    """What there is under one name: one of either kind."""

    component_templates: list[_Component] = []
    index_templates: list[_Index] = []

    def __post_init__(self) -> None:
        if len(self.component_templates) + len(self.index_templates) != 1:
            raise ValueError("one template was asked for")

    @property
    def body(self) -> dict[str, Any]:
        whole = [each.index_template for each in self.index_templates]
        return [*whole, *(each.component_template for each in self.component_templates)][0]


class _Policy(Struct):
    policy: dict[str, Any]
    seq_no: int = field(name="_seq_no")
    primary_term: int = field(name="_primary_term")


class Setup:
    """One run over all objects. `write=False` looks and says what it would do."""

    def __init__(
        self, cluster: Caller, settings: OpenSearchSettings, now: float, *, write: bool = True
    ) -> None:
        """Take what to look at and how; `now` in seconds since 1970 says what today's index is."""
        self._cluster = cluster
        self._settings = settings
        self._now = now
        self._bad: list[str] = []  # parts of what comes next that are not as they should be
        self._write = write

    def run(self) -> list[Step]:
        """Make everything; one step an object, in order.

        Raises StatusError where the cluster fails rather than refuses: then nothing is known.
        """
        steps = []
        wanted = policy(self._settings) if self._settings.retention == "ism" else None
        if wanted is not None:
            steps.append(self._policy(wanted))
        *parts, whole = templates(self._settings)
        made = [self._template(each) for each in parts]
        self._bad = [step.path for step in made if step.state in TROUBLES]
        last = self._template(whole)
        there = (State.SAME, State.NEWER, *((State.MADE, State.RENEWED) if self._write else ()))
        effect = effects(self._cluster, self._settings, self._now, made=last.state in there)
        return [*steps, *made, last, *effect]

    def _template(self, wanted: Resource) -> Step:
        try:
            answer = self._cluster.call("GET", wanted.path)
        except StatusError as error:
            if _is_missing(error):
                return self._put(wanted, State.MADE)
            return _denied(wanted, error)
        body = read_as(_Templates, wanted.path, answer).body
        # Both ways: what we do not want any more (`data_stream`) counts too.
        equal = same(wanted.body, body) and same(body, wanted.body)
        return self._compared(wanted, body.get("_meta"), equal=equal)

    def _policy(self, wanted: Resource) -> Step:
        try:
            answer = self._cluster.call("GET", wanted.path)
        except StatusError as error:
            if _is_missing(error):
                return self._put(wanted, State.MADE)
            # A core without the plugin knows no such path; Amazon's always has it.
            if error.status == 400 and b"no handler found" in error.answer:
                # `own` goes by the dates in names, which a data stream has not.
                instead = "" if self._settings.data_stream else _OWN
                return Step(State.ABSENT, wanted.path, wanted.body, _NO_ISM.format(instead))
            return _denied(wanted, error)
        found = read_as(_Policy, wanted.path, answer)
        description = str(found.policy.get("description"))
        owner, _, rest = description.partition(" ")
        version = rest.partition(":")[0]
        meta = {"managed_by": owner, "version": int(version) if version.isdigit() else 0}
        # Written only if nobody wrote it since: two shippers may start at once.
        unless = {
            "if_seq_no": str(found.seq_no),
            "if_primary_term": str(found.primary_term),
        }
        equal = same(wanted.body["policy"], found.policy)
        return self._compared(wanted, meta, unless, equal=equal)

    def _compared(
        self, wanted: Resource, meta: Any, unless: dict[str, str] | None = None, *, equal: bool
    ) -> Step:
        if not wanted.owned:
            return Step(State.KEPT, wanted.path, wanted.body)
        if not is_ours(meta):
            detail = f"{wanted.path} exists and is not {MANAGED_BY}'s: rename it, or `index`"
            return Step(State.FOREIGN, wanted.path, wanted.body, detail)
        if int(meta.get("version") or 0) > VERSION:
            return Step(State.NEWER, wanted.path, wanted.body)
        if equal:
            return Step(State.SAME, wanted.path, wanted.body)
        return self._put(wanted, State.RENEWED, unless)

    def _put(self, wanted: Resource, state: State, unless: dict[str, str] | None = None) -> Step:
        if self._bad:
            detail = f"{wanted.path} is left as it is, because of its part {', '.join(self._bad)}"
            return Step(State.HELD, wanted.path, wanted.body, detail)
        if self._write:
            try:
                self._cluster.call("PUT", wanted.path, wanted.body, unless)
            except StatusError as error:
                if error.status != 409:
                    return _denied(wanted, error)
                # Another shipper was faster; it writes the same.
                state = State.SAME
        return Step(state, wanted.path, wanted.body)


_NO_ISM: Final = (
    "this cluster has no Index State Management plugin, so nothing will delete old indexes: "
    "set {}`retention: off` where something else does it"
)
_OWN: Final = "`retention: own`, or "


def _is_missing(error: StatusError) -> bool:
    """Say whether OpenSearch has nothing of this name; a proxy that knows no such path has not."""
    return error.status == 404 and bool(error.kind)


def _denied(wanted: Resource, error: StatusError) -> Step:
    """Take a no for a no; what is no answer at all goes on as an error."""
    if error.status not in (400, 403):
        raise error
    return Step(State.DENIED, wanted.path, wanted.body, str(error))

"""Alerting monitors: get, compare, put, as `setup` does it for templates.

    index = IndexName("mysql-audit-%Y.%m.%d")
    install_monitors(cluster, read_monitors(Path("alert-rules/opensearch")), index=index)

The Alerting plugin makes the ids of monitors itself, so a monitor is found by its name. It begins
as those of the indexes do: each sink of a cluster has its own. What says `managed_by` in its
`ui_metadata` is ours and is renewed when the file is newer; a monitor of the same name without it
is somebody else's, is reported and left alone. Whether a monitor is enabled is the operator's
choice once it exists. A cluster without the plugin gets a message that says so.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from shipper.document.index_name import IndexName
from shipper.errors import UsageError
from shipper.sink.opensearch_resources import MANAGED_BY, same
from shipper.sink.opensearch_steps import Caller, State, Step, read_as
from shipper.sink.opensearch_wire import StatusError

PATH: Final = "/_plugins/_alerting/monitors"
# The plugin allows 1000 monitors; two of one name are already one too many.
_FOUND_MAX: Final = 10
_NO_PLUGIN: Final = (
    "this cluster has no Alerting plugin: install opensearch-alerting, or use the Prometheus rules"
)
# A notification each time somebody new is at it, not each minute while it goes on.
_THROTTLE: Final = {"value": 60, "unit": "MINUTES"}
_BY_QUERY: Final = "query_level_trigger"
# What the names in the files begin with: the indexes that a sink has by default.
_OF_THE_FILES: Final = "mysql-audit"


class _Hit(Struct):
    id: str = field(name="_id")
    source: dict[str, Any] = field(name="_source")
    seq_no: int = field(name="_seq_no")
    primary_term: int = field(name="_primary_term")

    @property
    def monitor(self) -> dict[str, Any]:
        monitor: dict[str, Any] = self.source.get("monitor", self.source)
        return monitor


class _Hits(Struct):
    hits: list[_Hit]


class _Found(Struct):
    hits: _Hits


def read_monitors(folder: Path) -> list[dict[str, Any]]:
    """Read the monitors of a folder. Raises UsageError where there is none, or one is no JSON."""
    monitors = []
    for file in sorted(folder.glob("*.json")):
        try:
            monitors.append(msgspec.json.decode(file.read_bytes(), type=dict[str, Any]))
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}") from error
    if not monitors:
        raise UsageError(f"{folder} has no monitors (*.json)")
    return monitors


def fitted(monitor: dict[str, Any], *, index: IndexName, channel: str | None) -> dict[str, Any]:
    """Give a monitor for these indexes, that notifies a channel of the Notifications plugin."""
    made = copy.deepcopy(monitor)
    made["name"] = index.base + made["name"].removeprefix(_OF_THE_FILES)
    for each in made["inputs"]:
        each["search"]["indices"] = [index.wildcard]
    if channel is not None:
        for each in made["triggers"]:
            ((kind, trigger),) = each.items()
            trigger["actions"] = [_action(kind, channel, made["ui_metadata"]["about"])]
    return made


def _action(kind: str, channel: str, about: str) -> dict[str, Any]:
    """Give the action of a trigger: one message for each new bucket, or for the whole query."""
    text = f"{{{{ctx.monitor.name}}}}: {{{{ctx.trigger.name}}}}\nWhat to do: {about}\n"
    action: dict[str, Any] = {
        "name": "notify",
        "destination_id": channel,
        "subject_template": {"source": "{{ctx.monitor.name}}", "lang": "mustache"},
        "message_template": {"source": text, "lang": "mustache"},
        "throttle_enabled": True,
        "throttle": _THROTTLE,
    }
    if kind != _BY_QUERY:
        buckets = "{{#ctx.newAlerts}}{{bucket_keys}}\n{{/ctx.newAlerts}}"
        action["message_template"]["source"] += buckets
        scope = {"per_alert": {"actionable_alerts": ["NEW"]}}
        action["action_execution_policy"] = {"action_execution_scope": scope}
    return action


def install_monitors(
    cluster: Caller,
    monitors: Sequence[dict[str, Any]],
    *,
    index: IndexName,
    channel: str | None = None,
    write: bool = True,
) -> list[Step]:
    """Make each monitor what it should be; one step a monitor. `write=False` only looks.

    Raises StatusError where the cluster fails rather than refuses.
    """
    steps = []
    for monitor in monitors:
        step = _install(cluster, fitted(monitor, index=index, channel=channel), write=write)
        steps.append(step)
        if step.state is State.ABSENT:
            break
    return steps


def _install(cluster: Caller, wanted: dict[str, Any], *, write: bool) -> Step:
    name = f"{PATH} {wanted['name']}"
    try:
        found = _find(cluster, wanted["name"])
    except StatusError as error:
        if error.status == 400 and b"no handler found" in error.answer:
            return Step(State.ABSENT, name, wanted, _NO_PLUGIN)
        if error.status in (401, 403):
            return Step(State.DENIED, name, wanted, str(error))
        raise
    if found is None:
        return _put(cluster, "POST", PATH, Step(State.MADE, name, wanted), {}, write=write)
    step = _compared(found.monitor, name, wanted)
    if step.state is not State.RENEWED:
        return step
    unless = {
        "if_seq_no": str(found.seq_no),
        "if_primary_term": str(found.primary_term),
    }
    return _put(cluster, "PUT", f"{PATH}/{found.id}", step, unless, write=write)


def _compared(there: dict[str, Any], name: str, wanted: dict[str, Any]) -> Step:
    if not _is_ours(there):
        detail = "a monitor of this name is not ours: rename it, or leave it in place of ours"
        return Step(State.FOREIGN, name, wanted, detail)
    if there["ui_metadata"].get("version", 0) > wanted["ui_metadata"]["version"]:
        return Step(State.NEWER, name, wanted)
    wanted["enabled"] = there.get("enabled", True)
    equal = same(_comparable(wanted), _comparable(there))
    return Step(State.SAME if equal else State.RENEWED, name, wanted)


def _is_ours(monitor: dict[str, Any]) -> bool:
    return (monitor.get("ui_metadata") or {}).get("managed_by") == MANAGED_BY


def _find(cluster: Caller, name: str) -> _Hit | None:
    query = {
        "size": _FOUND_MAX,
        "seq_no_primary_term": True,
        "query": {"term": {"monitor.name.keyword": name}},
    }
    path = f"{PATH}/_search"
    try:
        answer = cluster.call("POST", path, query)
    except StatusError as error:
        # Nobody ever made a monitor: their index is not there yet.
        if error.status == 404 and error.kind:
            return None
        raise
    hits = read_as(_Found, path, answer).hits.hits
    ours = [hit for hit in hits if _is_ours(hit.monitor)]
    return next(iter(ours or hits), None)


def _put(
    cluster: Caller, method: str, path: str, step: Step, params: dict[str, str], *, write: bool
) -> Step:
    if write:
        try:
            cluster.call(method, path, step.body, params)
        except StatusError as error:
            if error.status == 409:  # another shipper was quicker with the same
                return Step(State.SAME, step.path, step.body)
            if error.status in (400, 401, 403):
                return Step(State.DENIED, step.path, step.body, str(error))
            raise
    return step


def _comparable(monitor: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the plugin adds to lists: ids of triggers and of actions."""
    made = copy.deepcopy(monitor)
    for each in made["triggers"]:
        for trigger in each.values():
            trigger.pop("id", None)
            for action in trigger.get("actions", ()):
                action.pop("id", None)
    return made

"""What a cluster would really give an index: a template can be as it should be, and have no effect.

Templates of a higher priority win over ours, whole, and an index that is there already keeps the
mapping that it was made with. Both are asked for the index of today, or the one that there is. An
account that may not see something is told nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from shipper.document.index_name import IndexName
from shipper.sink.opensearch_resources import PRIORITY, is_ours
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_steps import Caller, State, Step, read_as, seen
from shipper.sink.opensearch_wire import StatusError


class _Simulated(Struct):
    template: dict[str, Any] | None = None


class _Named(Struct):
    name: str
    index_template: dict[str, Any]


class _Templates(Struct):
    index_templates: list[_Named]


class _Mapped(Struct):
    mappings: dict[str, Any] = {}


def effects(
    cluster: Caller, settings: OpenSearchSettings, now: float, *, made: bool
) -> Iterator[Step]:
    """Give a step for all that takes our mapping's place; `made`: our index template is there.

    Raises StatusError where the cluster fails.
    """
    pattern = IndexName(settings.index)
    name = pattern.of(datetime.fromtimestamp(now, UTC).date().isoformat())
    ours = _would_be_ours(cluster, name) if made else None
    if not ours:
        stronger = _stronger(cluster, pattern.base, name)
        if stronger:
            text = f"{stronger} wins over /_index_template/{pattern.base} (priority {PRIORITY})"
            detail = f"{text}: an index like {name} gets its mapping. Lower it, or rename `index`"
            yield Step(State.OVERRULED, f"/_index_template/{pattern.base}", {}, detail)
        elif ours is not None:
            detail = f"an index like {name} would not get our mapping: see its component templates"
            yield Step(State.OVERRULED, f"/_index_template/{pattern.base}", {}, detail)
    if _is_foreign(cluster, name):
        detail = (
            f"the index {name} is there with a mapping that is not ours, and keeps it: what it "
            "refuses goes to the dead letters. Reindex it, or wait for the next one"
        )
        yield Step(State.FOREIGN, f"/{name}", {}, detail)


def _would_be_ours(cluster: Caller, name: str) -> bool | None:
    """Say whether a new index of this name would have our mapping; None if that cannot be seen."""
    path = f"/_index_template/_simulate_index/{quote(name, safe='')}"
    try:
        answer = seen(cluster, "POST", path)
    except StatusError as error:
        # The server fails like that where the name is a data stream, or an alias, already.
        if error.kind != "illegal_state_exception":
            raise
        answer = None
    if answer is None:
        return None
    template = read_as(_Simulated, path, answer).template or {}
    return is_ours((template.get("mappings") or {}).get("_meta"))


def _stronger(cluster: Caller, own: str, name: str) -> str:
    """Name the template that would win over ours, with its priority; "" if there is none."""
    path = "/_index_template"
    answer = seen(cluster, "GET", path)
    found = [] if answer is None else read_as(_Templates, path, answer).index_templates
    rivals = [
        (int(each.index_template.get("priority") or 0), each.name)
        for each in found
        if each.name != own
        and any(fnmatchcase(name, one) for one in each.index_template.get("index_patterns", ()))
        # One that is made of our fields is the operator's own way to add to them.
        and f"{own}-fields" not in each.index_template.get("composed_of", ())
    ]
    priority, rival = max(rivals, default=(0, ""))
    return f"/_index_template/{rival} (priority {priority})" if priority > PRIORITY else ""


def _is_foreign(cluster: Caller, name: str) -> bool:
    """Say whether there is an index, or a data stream, of this name with another mapping.

    What is behind an alias is the operator's own arrangement.
    """
    path = f"/{quote(name, safe='')}/_mapping"
    answer = seen(cluster, "GET", path)
    indexes = {} if answer is None else read_as(dict[str, _Mapped], path, answer)
    last = max(
        (each for each in indexes if each == name or each.startswith(f".ds-{name}-")), default=""
    )
    return bool(last) and not is_ours(indexes[last].mappings.get("_meta"))

"""Days of logins with known truth: what happened on a server, and which of it was an attack.

An instance has applications in a cluster, people in an office, monitoring, probes and a nightly
batch. Each day draws its benign troubles; attacks of every kind and speed are put on top, each with
a label. The records come in the order of a log: threads write up to two seconds out of order, and
now and then a stretch comes minutes late.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from shipper.clock import rfc3339
from shipper.model import AUDIT_STOP, CHANGE_USER, CONNECT, QUERY, AuditRecord, Block

START = 1_788_220_800  # a Tuesday, 2026-09-01
DAY = 86_400
WIDTH = 100  # bytes a record takes in the made-up segment


@dataclass
class Attack:
    """One attack: what must be found, and whom a finding may name."""

    kind: str
    speed: str
    first: int
    last: int
    rules: frozenset[str]  # any of these is right
    actors: frozenset[str]  # sources and accounts


Event = tuple[float, str, int, str, str]  # second, kind, status, user, address


@dataclass
class Instance:
    """One server's life."""

    seed: int
    events: list[Event] = field(default_factory=list)
    attacks: list[Attack] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.apps = {
            f"app{number}": [f"10.42.{number}.{host}" for host in range(2, 5)]
            for number in range(6)
        }
        self.people = {f"dba{number}": f"192.168.7.{20 + number}" for number in range(5)}

    def login(self, at: float, status: int, user: str, ip: str, kind: str = CONNECT) -> None:
        self.events.append((at, kind, status, user, ip))

    # --- what is no attack

    def ordinary(self, day: int) -> None:
        """Applications, people with their typing errors, monitoring, probes, the nightly batch."""
        begin = START + day * DAY
        for user, pods in self.apps.items():
            for _ in range(100):
                self.login(begin + self.chance.random() * DAY, 0, user, self.chance.choice(pods))
        for second in range(0, DAY, 120):
            self.login(begin + second, 0, "exporter", "10.42.0.9")
            self.login(begin + second + 7, 1158, "", "10.42.0.1")
            self.login(begin + second + 8, 1159, "", "10.42.0.1")
        for user, ip in self.people.items():
            at = begin + self.chance.uniform(8, 18) * 3600
            for _ in range(self.chance.choice((0, 0, 1, 1, 2, 5))):
                self.login(at, 1045, user, ip)
                at += self.chance.uniform(3, 20)
            self.login(at + 5, 0, user, ip)
        for number in range(120):
            self.login(begin + 2 * 3600 + number * 3, 0, "batch", "10.42.3.200")

    def full_server(self, day: int) -> None:
        """The batch takes all connections: everybody is refused with 1040, some with 1203."""
        begin = START + day * DAY + 2 * 3600
        for number in range(300):
            user = self.chance.choice([*self.apps, "batch"])
            ip = self.chance.choice(self.apps.get(user, ["10.42.3.200"]))
            self.login(begin + number / 4, self.chance.choice((1040, 1203)), user, ip)

    def stale_deploy(self, day: int) -> None:
        """New pods with yesterday's password retry until somebody rolls back."""
        user = self.chance.choice([*self.apps])
        begin = START + day * DAY + self.chance.uniform(9, 17) * 3600
        for pod in range(self.chance.randint(3, 10)):
            at, pause = begin + pod, self.chance.choice((1, 2, 5, 15))
            ip = f"10.42.{self.chance.randint(10, 250)}.{self.chance.randint(2, 250)}"
            end = begin + self.chance.uniform(120, 900)
            while at < end:
                self.login(at, 1045, user, ip)
                at += pause * self.chance.uniform(0.8, 1.2)
            self.login(end + 30, 0, user, ip)

    def rotation(self, day: int) -> None:
        """All passwords change; each service has the new one some minutes later."""
        begin = START + day * DAY + 3 * 3600
        for user, pods in self.apps.items():
            for ip in pods:
                at, end = begin + self.chance.uniform(0, 60), begin + self.chance.uniform(60, 400)
                while at < end:
                    self.login(at, 1045, user, ip)
                    at += self.chance.uniform(2, 10)
                self.login(end, 0, user, ip)

    def stale_monitoring(self, day: int) -> None:
        """Nobody told the exporter about its new password for some hours."""
        begin = START + day * DAY + self.chance.uniform(0, 18) * 3600
        for second in range(0, 4 * 3600, 15):
            self.login(begin + second, 1045, "exporter", "10.42.0.9")

    def newcomer(self, day: int) -> None:
        """A person with a new machine gets the password right at the third attempt."""
        at = START + day * DAY + self.chance.uniform(9, 17) * 3600
        ip = f"192.168.{self.chance.randint(20, 90)}.7"
        user = self.chance.choice([*self.people])
        for number in range(3):
            self.login(at + 11 * number, 1045, user, ip)
        self.login(at + 40, 0, user, ip)

    TROUBLES = (full_server, stale_deploy, rotation, stale_monitoring, newcomer)

    # --- attacks

    def outside(self) -> str:
        """An address of nobody that this server knows."""
        first = self.chance.choice((45, 91, 185, 198, 203))
        return f"{first}." + ".".join(str(self.chance.randint(1, 254)) for _ in range(3))

    def attack(self, kind: str, speed: str, begin: float) -> None:
        """Add one attack, and what must be found."""
        pause = SPEEDS[kind][speed]
        actors, rules, end = getattr(self, f"_{kind}")(begin, pause)
        self.attacks.append(
            Attack(kind, speed, int(begin), int(end), frozenset(rules), frozenset(actors))
        )

    def _guesses(self, begin: float, pause: float, count: int) -> Iterator[float]:
        at = begin
        for _ in range(count):
            yield at
            at += pause * self.chance.uniform(0.7, 1.3)

    def _source_burst(self, begin: float, pause: float) -> tuple[list[str], list[str], float]:
        ip, end = self.outside(), begin
        for end in self._guesses(begin, pause, 80):
            user = self.chance.choice(("root", "admin", "mysql"))
            self.login(end, 1045, user, ip)
        return [ip, "root", "admin", "mysql"], ["source_burst"], end

    def _account_burst(self, begin: float, pause: float) -> tuple[list[str], list[str], float]:
        """Several machines of one network share the work: none of them does much."""
        network = self.outside().rpartition(".")[0]
        user, end = self.chance.choice([*self.apps]), begin
        ips = [f"{network}.{number}" for number in range(10, 30)]
        for end in self._guesses(begin, pause, 80):
            self.login(end, 1045, user, self.chance.choice(ips))
        return [user, *ips], ["account_burst"], end

    def _password_spray(self, begin: float, pause: float) -> tuple[list[str], list[str], float]:
        ip, end = self.outside(), begin
        names = [*self.apps, *self.people, "root", "admin", "test", "backup", "oracle"]
        self.chance.shuffle(names)
        for name, end in zip(names, self._guesses(begin, pause, len(names)), strict=True):
            self.login(end, 1045, name, ip)
        return [ip], ["password_spray"], end

    def _distributed_burst(self, begin: float, pause: float) -> tuple[list[str], list[str], float]:
        user, end = self.chance.choice(("root", *self.people)), begin
        ips = [self.outside() for _ in range(40)]
        for end in self._guesses(begin, pause, 80):
            self.login(end, 1045, user, self.chance.choice(ips))
        return [user, *ips], ["distributed_burst"], end

    def _success_after_burst(
        self, begin: float, pause: float
    ) -> tuple[list[str], list[str], float]:
        ip, user, end = self.outside(), self.chance.choice([*self.apps]), begin
        for end in self._guesses(begin, pause, self.chance.randint(15, 60)):
            self.login(end, 1045, user, ip)
        self.login(end + pause, 0, user, ip)
        return [ip, user], ["success_after_burst"], end + pause

    def _change_user_guessing(
        self, begin: float, pause: float
    ) -> tuple[list[str], list[str], float]:
        ip, end = f"172.20.{self.chance.randint(0, 200)}.9", begin
        self.login(begin - 5, 0, "newapp", ip)
        for end in self._guesses(begin, pause, 12):
            self.login(end, 1045, "root", ip, CHANGE_USER)
        return [ip, "root"], ["change_user_guessing"], end

    def _audit_switched_off(
        self, begin: float, _pause: float
    ) -> tuple[list[str], list[str], float]:
        self.login(begin, 0, "mallory", "", AUDIT_STOP)
        return ["mallory"], ["audit_switched_off"], begin

    def _new_error_code(self, begin: float, _pause: float) -> tuple[list[str], list[str], float]:
        used = {event[2] for event in self.events}
        left = [code for code in (3118, 1130, 3159, 1129, 1698, 1862, 1251) if code not in used]
        ip = self.outside()
        self.login(begin, left[0] if left else 7777 + len(used), "root", ip)
        return [ip, "root"], ["new_error_code"], begin

    # --- as a log

    def records(self) -> list[AuditRecord]:
        """Everything in the order of the log."""
        order = []
        for event in self.events:
            late = 0.0
            if int(event[0]) // 97 % 50 == 0:  # a stretch that comes late as a whole
                late = 300.0
            order.append((event[0] + late + self.chance.uniform(0, 2), event))
        order.sort()
        return [_record(event) for _, event in order]


# Seconds between two guesses.
SPEEDS: dict[str, dict[str, float]] = {
    "source_burst": {"20/s": 0.05, "1/s": 1, "1/10s": 10, "1/55s": 55},
    "account_burst": {"20/s": 0.05, "1/s": 1, "1/10s": 10, "1/55s": 55},
    "password_spray": {"10/s": 0.1, "1/10s": 10, "1/4min": 240},
    "distributed_burst": {"10/s": 0.1, "1/10s": 10, "1/90s": 90},
    "success_after_burst": {"10/s": 0.1, "1/s": 1, "1/20s": 20, "1/50s": 50},
    "change_user_guessing": {"10/s": 0.1, "1/s": 1, "1/40s": 40},
    "audit_switched_off": {"once": 0},
    "new_error_code": {"once": 0},
}


def _record(event: Event) -> AuditRecord:
    second, kind, status, user, ip = event
    return AuditRecord(
        name=kind,
        kind=kind,
        format="percona-json",
        timestamp=rfc3339(second)[:19] + "Z",
        status=status,
        user=user,
        host="",
        ip=ip,
    )


def benign(seed: int, days: int) -> Instance:
    """A server that nobody attacks; each day has at most one trouble of each kind."""
    instance = Instance(seed)
    for day in range(days):
        instance.ordinary(day)
        for trouble in instance.TROUBLES:
            # On the first day everything works: nothing can be told from an attack before.
            if day and instance.chance.random() < 0.3:
                trouble(instance, day)
    return instance


def attacked(seed: int, quiet_days: int = 8) -> Instance:
    """A server with every kind of attack at every speed, hours apart, after some quiet days."""
    cases = [(kind, speed) for kind, speeds in SPEEDS.items() for speed in speeds]
    days = quiet_days + (len(cases) + 3) // 4
    instance = benign(seed, days)
    instance.chance.shuffle(cases)
    for number, (kind, speed) in enumerate(cases):
        begin = START + quiet_days * DAY + number * 6 * 3600 + instance.chance.uniform(0, 3600)
        instance.attack(kind, speed, begin)
    return instance


def blocks(records: list[AuditRecord], size: int = 300, start: int = 0) -> Iterator[Block]:
    """Cut records into blocks, each record WIDTH bytes long."""
    for at in range(0, len(records), size):
        some = records[at : at + size]
        starts = [start + (at + index) * WIDTH for index in range(len(some))]
        ends = [offset + WIDTH for offset in starts]
        yield Block(starts[0], ends[-1], some, starts, ends, [])


def statement() -> AuditRecord:
    return AuditRecord(kind=QUERY, name="Query", status=0, command_class="select")

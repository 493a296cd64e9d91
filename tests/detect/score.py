"""Recall and false alarms of the detector over the labelled corpus. `make detection` prints it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from detect.corpus import DAY, SPEEDS, Attack, Instance, attacked, benign, blocks

from shipper.detect import Detector, Settings
from shipper.detection import Detection

RECALL_GOAL = 0.99
FALSE_ALARMS_PER_DAY_GOAL = 1.0
# A finding may come this long after the attack: the stretch that was written late.
GRACE_SECONDS = 900


@dataclass
class Score:
    """What was found of what there was."""

    attacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)
    false_alarms: Counter[str] = field(default_factory=Counter)
    worst_day: int = 0
    days: int = 0

    @property
    def recall(self) -> float:
        return self.found.total() / self.attacks.total()


def names(detection: Detection) -> set[str]:
    return {name for name in (detection.user, detection.source) if name is not None}


def explains(attack: Attack, detection: Detection) -> bool:
    inside = attack.first - 60 <= detection.last <= attack.last + GRACE_SECONDS
    return inside and bool(names(detection) & attack.actors)


def run(instance: Instance) -> list[Detection]:
    detector = Detector(Settings())
    found = []
    for block in blocks(instance.records()):
        found += detector.see(block, "s")
    return found


def judge(score: Score, instance: Instance, detections: list[Detection], days: int) -> None:
    for attack in instance.attacks:
        score.attacks[attack.kind, attack.speed] += 1
        score.found[attack.kind, attack.speed] += any(
            explains(attack, one) and one.rule in attack.rules for one in detections
        )
    false = [one for one in detections if not any(explains(a, one) for a in instance.attacks)]
    score.false_alarms.update(one.rule for one in false)
    score.days += days
    by_day = Counter(one.last // DAY for one in false)
    score.worst_day = max(score.worst_day, *by_day.values(), 0)


def measure(instances: int, days: int, seed: int = 7) -> tuple[Score, Score]:
    """Give the score of attacked instances, and that of instances that nobody attacks."""
    under_attack, quiet = Score(), Score()
    for number in range(instances):
        instance = attacked(seed + number)
        judge(under_attack, instance, run(instance), 15)
        instance = benign(1000 + seed + number, days)
        judge(quiet, instance, run(instance), days)
    return under_attack, quiet


def table(under_attack: Score, quiet: Score) -> str:
    lines = [f"{'attack':22}{'speed':>8}{'attacks':>9}{'found':>7}{'recall':>8}"]
    for kind, speeds in SPEEDS.items():
        for speed in speeds:
            there, found = under_attack.attacks[kind, speed], under_attack.found[kind, speed]
            lines.append(f"{kind:22}{speed:>8}{there:9}{found:7}{found / there:8.3f}")
    lines.append(
        f"{'all':22}{'':8}{under_attack.attacks.total():9}{under_attack.found.total():7}"
        f"{under_attack.recall:8.3f}   goal {RECALL_GOAL}"
    )
    for name, score in (("under attack", under_attack), ("not attacked", quiet)):
        rules = ", ".join(f"{rule} {count}" for rule, count in score.false_alarms.most_common())
        lines.append(
            f"false alarms, {name}: {score.false_alarms.total()} in {score.days} instance days = "
            f"{score.false_alarms.total() / score.days:.2f} a day, most in one day "
            f"{score.worst_day} ({rules or 'none'})   goal {FALSE_ALARMS_PER_DAY_GOAL:.0f} a day"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=12)
    parser.add_argument("--days", type=int, default=14, help="of an instance nobody attacks")
    arguments = parser.parse_args()
    under_attack, quiet = measure(arguments.instances, arguments.days)
    print(table(under_attack, quiet))
    bad = under_attack.recall < RECALL_GOAL
    return int(bad or quiet.false_alarms.total() > FALSE_ALARMS_PER_DAY_GOAL * quiet.days)


if __name__ == "__main__":
    sys.exit(main())

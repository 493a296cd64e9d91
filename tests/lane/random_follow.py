"""The rules of `test_follow_model` in random order, many stories, without hypothesis' tracing.

    python tests/lane/random_follow.py [--stories 1000] [--steps 40] [--seed N]

A story that fails is printed with its seed and its steps.
"""

from __future__ import annotations

import argparse
import random
import sys
import traceback
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from lane.test_follow_model import Following


def story(seed: int, steps: int) -> list[str]:
    """Run one story; what was done. Raises AssertionError where a promise was broken."""
    chance = random.Random(seed)
    done: list[str] = []
    machine = Following()
    try:
        form = chance.choice(["json", "xml", "mariadb"])
        done.append(f"begin({form!r})")
        machine.begin(form)
        for _ in range(steps):
            name, arguments = _choice(chance)
            if name == "take_the_footer_back" and machine.part:
                continue
            done.append(f"{name}(**{arguments})")
            getattr(machine, name)(**arguments)
        machine.teardown()
    except BaseException as error:
        error.add_note("\n".join(done))
        raise
    return done


def _choice(chance: random.Random) -> tuple[str, dict[str, float | int]]:
    name = chance.choice(RULES)
    if name == "write":
        return name, {"count": chance.randint(1, 30)}
    if name == "write_a_part":
        return name, {"share": chance.uniform(0.05, 0.95)}
    if name in {"one_lane_works_a_little", "the_target_is_away_for_a_while"}:
        return name, {"lane": chance.randint(0, 1)}
    return name, {}


RULES = (
    *("write", "write_a_part", "finish_part", "rotate_by_size", "flush", "take_the_footer_back"),
    *("rename_and_flush", "rename_now_flush_later", "copy_and_truncate", "compress_the_oldest"),
    *(
        "copy_and_truncate_after_a_look",
        "delete_the_oldest",
        "truncate",
        "look",
        "one_lane_works_a_little",
        "ship",
        "settle",
    ),
    *("the_target_is_away_for_a_while", "restart", "write_on_into_a_rotated_file"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stories", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    asked = parser.parse_args()
    failed = 0
    for seed in range(asked.seed, asked.seed + asked.stories):
        try:
            story(seed, asked.steps)
        except Exception:  # noqa: BLE001 the next story is another one
            failed += 1
            print(f"--- seed {seed}\n{traceback.format_exc()}", flush=True)
    print(f"{asked.stories} stories of {asked.steps} steps from seed {asked.seed}: {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

"""Duels of a contender and a baseline in turns: other load on the machine affects both, so their ratio is stable."""

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
TIME_LIMIT = 1800  # seconds that a contender may run; Keras's own first step takes minutes to compile


class Contender:
    """A process that times a step on request; its answers are lines of JSON."""

    def __init__(self, task: dict, python: str):
        environment = {**os.environ, "KERAS_BACKEND": task.get("backend", "tensorflow"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        if task.get("backend") == "jax":
            environment["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # as `resnext` sets it
        command = ["timeout", str(TIME_LIMIT), python, HERE / "contender.py", json.dumps(task)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, text=True, env=environment, **pipes)
        self.ready = self._answer()

    def _answer(self) -> dict:
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"exited with status {self.process.wait()} before it answered")

    def seconds(self) -> float:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._answer()["seconds"]

    def end(self) -> float:
        self.process.stdin.close()
        peak = self._answer()["peak_memory_gb"]
        self.process.wait()
        return peak


def duel(task: dict, baseline: dict, rounds: int, peers: str | None) -> dict:
    """Return how many times as fast as the baseline the contender of the task is: median, lowest and highest.

    Times are compared per image, because the batches of both may differ.
    """
    both = []
    try:
        for each in (task, baseline):
            ours = each["system"].startswith(("resnext", "keras"))
            both.append(Contender(each, sys.executable if ours else peers))
        for contender in both:
            contender.seconds()
        batches = [each.get("batch", 16) for each in (task, baseline)]
        times = [
            [contender.seconds() / batch for contender, batch in zip(both, batches, strict=True)] for _ in range(rounds)
        ]
        peaks = [contender.end() for contender in both]
    except (RuntimeError, OSError) as error:
        for contender in both:
            contender.process.kill()
            contender.process.wait()
        return {"task": task, "baseline": baseline, "failed": str(error)}
    ratios = [theirs / ours for ours, theirs in times]
    return {
        "task": task,
        "baseline": baseline,
        "n": rounds,
        "ratio": spread(ratios),
        "images_per_second": [1 / statistics.median(column) for column in zip(*times, strict=True)],
        "peak_memory_gb": peaks,
        "build_seconds": [contender.ready["build_seconds"] for contender in both],
        "first_step_seconds": [contender.ready["first_step_seconds"] for contender in both],
        "versions": both[1].ready["versions"] | both[0].ready["versions"],
    }


def run(duels: list[tuple[dict, dict]], rounds: int, peers: str | None, out: Path) -> None:
    """Run all duels, one after another; the file always has the results so far."""
    results = {"machine": machine(), "date": str(date.today()), "command": command(), "duels": []}
    for task, baseline in duels:
        if peers is None and not baseline["system"].startswith(("resnext", "keras")):
            continue
        result = duel(task, baseline, task.pop("rounds", rounds), peers)
        results["duels"].append(result)
        print(task, result.get("failed") or [round(r, 2) for r in result["ratio"]], flush=True)
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(results, indent=1) + "\n")


def write_result(out: Path, result: dict) -> None:
    """Write what a benchmark found, and print it, with the machine, the date and the command."""
    facts = {"machine": machine(), "date": str(date.today()), "command": command()}
    text = json.dumps(facts | result, indent=1)
    out.write_text(text + "\n")
    print(text)


def spread(values: list[float]) -> list[float]:
    """Return median, lowest and highest."""
    return [statistics.median(values), min(values), max(values)]


def photos_in(folder: Path) -> list[Path]:
    """Return the image files of a folder and those below it, in the order of their names."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


def command() -> str:
    """Return the command line without paths of this machine."""
    script, *arguments = sys.argv
    arguments = ["PEERS/bin/python" if "/bin/python" in argument else Path(argument).name for argument in arguments]
    return " ".join(["benchmarks/" + Path(script).name, *arguments])


def machine() -> str:
    """Return the number of cores, the model of the CPU and its features that matter here."""
    with open("/proc/cpuinfo") as file:
        text = file.read()
    model = re.search(r"model name\s*: (.*)", text)
    features = [f for f in ("avx512f", "avx512_bf16", "amx_bf16") if f" {f} " in text]
    return f"{os.cpu_count()} cores, {model[1] if model else platform.processor()} ({', '.join(features)})"

"""An edgetpu_compiler that plays what real ones printed and left: a program for the path.

``install`` writes it with a list of plays, one a call (the last one again for all that follow).
It takes the compiler's own options, and its files come from simulators.edgetpu_compiled.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

HEAD = "Edge TPU Compiler version 16.0.384591198\n"
TIMER = "Started a compilation timeout timer of 180 seconds.\n"
FOOT = "Compilation child process completed within timeout period.\nCompilation succeeded! \n"
FAILED = "Compilation child process completed within timeout period.\nCompilation failed! \n"
PARTIAL = (
    "\nModel successfully compiled but not all operations are supported by the Edge TPU. A "
    "percentage of the model will instead run on the CPU, which is slower. If possible, consider "
    "updating your model to use only operations supported by the Edge TPU. For details, visit "
    "g.co/coral/model-reqs.\nNumber of operations that will run on Edge TPU: {mapped}\n"
    "Number of operations that will run on CPU: {left}\n"
)
TOO_LARGE = (
    "ERROR: Restored original execution plan after delegate application failure.\n"
    f"Compilation failed: Compilation failed due to large activation tensors in model.\n{FAILED}"
)
ENDS = {  # what it prints, and ends with 1
    "not-quantized": "Invalid model: {model}\nModel not quantized\n",
    "internal": "\nInternal compiler error. Aborting! \n",
    "time-out": TIMER + "Compilation timed out.\nCompilation failed! \n",
    "dynamic": TIMER
    + "ERROR: Attempting to use a delegate that only supports static-sized tensors with a graph "
    "that has dynamic-sized tensors.\nCompilation failed: Model failed in Tflite interpreter. "
    f"Please ensure model can be loaded/run in Tflite interpreter.\n{FAILED}",
    "newer": TIMER
    + "ERROR: Didn't find op for builtin opcode 'FULLY_CONNECTED' version '12'. An older version "
    f"of this builtin might be supported.\nERROR: Registration failed.\n{FAILED}",
    "large": TIMER + TOO_LARGE,
    "stub": TIMER + "Compilation failed: no valid delegate\n",
}
MAKES = ("success", "partial", "one-segment", "searched")  # and ends with 0
PLAYS = (*ENDS, *MAKES, "silent", "hang", "crash", "stub-and-0")


def install(folder: Path, *plays: str) -> Path:
    """Return a folder for PATH, in which the compiler plays ``plays``, one a call."""
    assert set(plays) <= set(PLAYS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plays.json").write_text(json.dumps(plays))
    program = folder / "edgetpu_compiler"
    root = Path(__file__).parents[1]
    program.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
        f"from simulators.edgetpu_compiler import main\nmain({str(folder)!r}, sys.argv[1:])\n"
    )
    program.chmod(0o755)
    return folder


def calls(folder: Path) -> list[list[str]]:
    """Return the arguments of each call so far."""
    path = folder / "calls.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main(folder: str, argv: list[str]) -> None:
    here = Path(folder)
    done = len(calls(here))
    with (here / "calls.jsonl").open("a") as file:
        file.write(json.dumps(argv) + "\n")
    plays = json.loads((here / "plays.json").read_text())
    _play(plays[min(done, len(plays) - 1)], argv)


def _play(play: str, argv: list[str]) -> None:
    models = [Path(word) for word in argv if word.endswith(".tflite")]
    out = Path(argv[argv.index("--out_dir") + 1])
    segments = int(argv[argv.index("--num_segments") + 1]) if "--num_segments" in argv else 1
    _say(HEAD)
    if play.startswith("stub"):
        (out / f"{models[0].stem}_edgetpu.tflite").write_bytes(b"\x18\0\0\0TFL3" + bytes(1000))
    if play in ENDS:
        _say(ENDS[play].replace("{model}", str(models[0])))
        sys.exit(1)
    if play == "silent":
        return
    if play == "searched":
        _say(
            f"Searching for valid delegate with step 10\nTry to compile segment with 9 ops\n{TIMER}"
        )
        _say(f"{TOO_LARGE}Try to compile segment with 8 ops\nIntermediate tensors: a,b\n")
    _say(TIMER)
    if play == "hang":
        time.sleep(600)
    if play == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if play == "stub-and-0":
        _say("\nModel compiled successfully in 3 ms.\n\n")
    else:
        _make(models, out, play=play, segments=segments)
    _say(FOOT)


def _say(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def _make(models: list[Path], out: Path, *, play: str, segments: int) -> None:
    from littoral_converter import graph
    from simulators.edgetpu_compiled import Package, compiled

    _say(f"\nModel{'s' if len(models) > 1 else ''} compiled successfully in 1717 ms.\n\n")
    for model in models:
        data = model.read_bytes()
        operators = [o.name for o in graph.read(data).main.operators]
        left = {len(operators) - 1} if play in {"partial", "searched"} else set()
        for k in range(segments):
            if play == "one-segment" and k:
                _say(TIMER + TOO_LARGE)
                sys.exit(1)
            part = model.stem if segments == 1 else f"{model.stem}_segment_{k}_of_{segments}"
            (out / f"{part}_edgetpu.tflite").write_bytes(
                compiled(data, left=left, package=Package(cached=4096, streamed=0, token=77))
            )
            _say(f"""Input model: {model.parent / part}.tflite
Input size: 258.55KiB
Output model: {out / part}_edgetpu.tflite
Output size: 380.62KiB
On-chip memory used for caching model parameters: 4.00KiB
On-chip memory remaining for caching model parameters: 7.45MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: {len(operators)}
Operation log: {out / part}_edgetpu.log
""")
            if left:
                _say(PARTIAL.format(mapped=len(operators) - len(left), left=len(left)))
            _say("\nOperator                       Count      Status\n\n")
            for index, name in enumerate(operators):
                status = "Operation not supported" if index in left else "Mapped to Edge TPU"
                _say(f"{name:30} {1:<10} {status}\n")
            _say("\n")

"""PyTorch's side of a benchmark. One JSON object a line: requests on stdin, answers on stdout, errors as {"error": ...}.

{"op": "hello", "threads": 2}                -> {"version": "..."}
{"op": "open", "setup": "...", "run": "..."}  -> {}            gradients are off unless setup turns them on
{"op": "use", "run": "..."}                   -> {}            another body, the same set-up
{"op": "block", "runs": 10}                  -> {"seconds": 0.05}
{"op": "memory"}                             -> {"peakBytes": 1e9}  most that the process had resident since it opened the case
{"op": "close"}                              -> {}            forgets the case and its memory
"""

import gc
import json
import os
import sys
import textwrap
import time

answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
sys.stdout = sys.stderr  # what a case prints must not reach the protocol

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def compiled(run, scope):
    body = textwrap.indent(textwrap.dedent(run).strip(), "        ")
    exec(compile(f"def block(runs):\n    for _ in range(runs):\n{body}\n", "run", "exec"), scope)
    return scope["block"]


def main():
    block, scope = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        try:
            if request["op"] == "hello":
                torch.set_num_threads(request["threads"])
                answer = {"version": torch.__version__}
            elif request["op"] == "open":
                with open("/proc/self/clear_refs", "w") as file:
                    file.write("5")  # the peak is counted from here
                torch.manual_seed(0)
                torch.set_grad_enabled(False)
                scope = {"torch": torch, "F": F}
                exec(compile(textwrap.dedent(request["setup"]).strip(), "setup", "exec"), scope)
                block = compiled(request["run"], scope)
            elif request["op"] == "use":
                block = compiled(request["run"], scope)
            elif request["op"] == "block":
                start = time.perf_counter()
                block(request["runs"])
                answer = {"seconds": time.perf_counter() - start}
            elif request["op"] == "memory":
                with open("/proc/self/status") as file:
                    answer = {"peakBytes": next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))}
            elif request["op"] == "close":
                block, scope = None, {}
                gc.collect()
            else:
                raise ValueError(f"unknown op {request['op']}")
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


main()

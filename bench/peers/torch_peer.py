"""PyTorch's side of a benchmark. One JSON object a line: requests on stdin, answers on stdout, errors as {"error": ...}.

{"op": "hello", "threads": 2, "device": "cuda"} -> {"version": "..."}  an error where that device cannot be used
{"op": "open", "setup": "...", "run": "..."}  -> {}            gradients are off unless setup turns them on; it makes its
                                                             tensors on the device, the body says `device=device`
{"op": "use", "run": "..."}                   -> {}            another body, the same set-up
{"op": "block", "runs": 10}                  -> {"seconds": 0.05}
{"op": "memory"}                             -> {"peakBytes": 1e9}  most that the process had resident since it opened the case,
                                                             on a GPU most that its tensors held
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


device = torch.device("cpu")


def compiled(run, scope):
    body = textwrap.indent(textwrap.dedent(run).strip(), "        ")
    exec(compile(f"def block(runs):\n    for _ in range(runs):\n{body}\n", "run", "exec"), scope)
    return scope["block"]


def settled():
    if device.type == "cuda":
        torch.cuda.synchronize()


def forget_peak():
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_bytes():
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))


def main():
    global device
    block, scope = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        try:
            if request["op"] == "hello":
                torch.set_num_threads(request["threads"])
                device = torch.device(request["device"])
                torch.zeros(1, device=device)
                answer = {"version": torch.__version__}
            elif request["op"] == "open":
                forget_peak()
                torch.manual_seed(0)
                torch.set_grad_enabled(False)
                torch.set_default_dtype(torch.float32)
                scope = {"torch": torch, "F": F, "device": device, "settled": settled}
                # Not torch.set_default_device, whose look at each call would be timed with the body.
                with device:
                    exec(compile(textwrap.dedent(request["setup"]).strip(), "setup", "exec"), scope)
                block = compiled(request["run"], scope)
            elif request["op"] == "use":
                block = compiled(request["run"], scope)
            elif request["op"] == "block":
                settled()
                start = time.perf_counter()
                block(request["runs"])
                settled()
                answer = {"seconds": time.perf_counter() - start}
            elif request["op"] == "memory":
                answer = {"peakBytes": peak_bytes()}
            elif request["op"] == "close":
                block, scope = None, {}
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                raise ValueError(f"unknown op {request['op']}")
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


main()

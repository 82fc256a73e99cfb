"""PyTorch's side of a benchmark. One JSON object a line: requests on stdin, answers on stdout, errors as {"error": ...}.

{"op": "hello", "threads": 2, "device": "cuda"} -> {"version": "..."}  an error where that device cannot be used
{"op": "open", "setup": "...", "run": "...",  -> {}            gradients are off unless setup turns them on; it makes its
 "less": "...", "within": "...",                             tensors on the device, the body says `device=device`. less: another body,
 "flushBytes": 0}                                            whose time is told apart; within: a context manager around the loop;
                                                             flushBytes: copied on the device before each run, and told with less
{"op": "use", "run": "..."}                   -> {}            another body, the same set-up
{"op": "block", "runs": 10}                  -> {"seconds": 0.05, "less": 0}
{"op": "memory"}                             -> {"peakBytes": 1e9}  most that the process had resident since it opened the case,
                                                             on a GPU most that its tensors held
{"op": "close"}                              -> {}            forgets the case and its memory
"""

import contextlib
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


def seconds(block, runs, within, scope):
    with eval(within, scope) if within else contextlib.nullcontext():
        settled()
        start = time.perf_counter()
        block(runs)
        settled()
        return time.perf_counter() - start


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
    block, less, within, scope = None, None, None, {}
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
                    flushed = torch.zeros(2, request.get("flushBytes", 0), dtype=torch.uint8)
                scope["flushed"], within = flushed, request.get("within")
                flush = "flushed[1].copy_(flushed[0])\n" if flushed.numel() else ""
                block = compiled(flush + textwrap.dedent(request["run"]), scope)
                taken_off = flush + textwrap.dedent(request.get("less", ""))
                less = compiled(taken_off, scope) if taken_off else None
            elif request["op"] == "use":
                block = compiled(request["run"], scope)
            elif request["op"] == "block":
                answer = {"seconds": seconds(block, request["runs"], within, scope)}
                answer["less"] = seconds(less, request["runs"], within, scope) if less else 0
            elif request["op"] == "memory":
                answer = {"peakBytes": peak_bytes()}
            elif request["op"] == "close":
                block, less, flushed, scope = None, None, None, {}
                gc.collect()
                if device.type == "cuda":
                    torch.cuda.empty_cache()
            else:
                raise ValueError(f"unknown op {request['op']}")
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


main()

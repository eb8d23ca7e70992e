"""A line learned by all ranks together on gloo, from the last checkpoint on, a step at a time."""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

STEPS, SAVED_EVERY = 120, 10
KEPT = Path("/opt/ml/checkpoints/state.json")


def say(line: str) -> None:
    """Write in one piece: several processes write to one stream."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
state = json.loads(KEPT.read_text()) if KEPT.exists() else {"step": 0, "weight": 0.0}
# Each host has checkpoints of its own, and one may have been quicker to save: all begin alike.
begun = torch.tensor([state["step"], state["weight"]], dtype=torch.double)
dist.broadcast(begun, 0)
step, weight = int(begun[0]), float(begun[1])
say(f"rank={rank} size={size} begins at step {step}")

while step < STEPS:
    if "--fail" in sys.argv and rank == 1 and step == 20:
        raise ValueError("the data of rank 1 is no data")
    x = float(rank + 1)
    gradient = torch.tensor([2 * (weight - 3) * x * x], dtype=torch.double)
    dist.all_reduce(gradient)
    step, weight = step + 1, weight - 0.002 * float(gradient) / size
    if rank == 0 and step % SAVED_EVERY == 0:
        unfinished = KEPT.with_name("state.json.tmp")
        unfinished.write_text(json.dumps({"step": step, "weight": weight}))
        unfinished.replace(KEPT)
    # It takes its time while somebody still means to disturb it.
    time.sleep(0.5 if "--slowly" in sys.argv and not begun[0] else 0)

say(f"rank={rank} weight={weight:.12f}")
if rank == 0:
    told = json.dumps({"step": step, "weight": weight, "size": size})
    Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(told)
dist.destroy_process_group()

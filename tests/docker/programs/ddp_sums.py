"""DistributedDataParallel on gloo: a line learned by every rank from points of its own."""

import json
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


def say(line: str) -> None:
    """Write in one piece: several processes write to one stream."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
total = torch.tensor([1.0, rank, rank**2])
dist.all_reduce(total)
say(f"rank={rank} size={size} total={total.tolist()}")

if "--wait" in sys.argv:
    while True:
        dist.all_reduce(torch.ones(1))
        time.sleep(0.05)

torch.manual_seed(rank)  # DDP gives everybody the first rank's weights
line = torch.nn.Linear(1, 1, bias=False).double()
if rank == 0:
    torch.nn.init.zeros_(line.weight)
model = DistributedDataParallel(line)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
x = torch.tensor([[rank + 1.0]], dtype=torch.double)
for _ in range(3):
    optimizer.zero_grad()
    ((model(x) - 3 * x) ** 2).mean().backward()
    optimizer.step()
weight = line.weight.item()
say(f"rank={rank} weight={weight:.12f}")

told = {"rank": rank, "weight": weight, "host": os.environ["SM_CURRENT_HOST"]}
Path(os.environ["SM_MODEL_DIR"], f"rank-{rank}.json").write_text(json.dumps(told))
dist.destroy_process_group()

"""Every rank learns its share of a line by gradients that all add up; rank 0 writes the model."""

import json
import os
import socket
import sys
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI


def say(line: str) -> None:
    """Write in one piece: several processes write to one stream."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


world = MPI.COMM_WORLD
total = np.empty(3)
world.Allreduce(np.array([1.0, world.rank, world.rank**2]), total, op=MPI.SUM)
say(f"rank={world.rank} size={world.size} host={socket.gethostname()} total={total}")

if "--wait" in sys.argv:
    while True:
        world.Allreduce(np.ones(1), np.empty(1))
        time.sleep(0.05)

# Rank r has the points x = r + 1, y = 3 x: the mean slope of the loss at w is known.
x = world.rank + 1.0
weight = 0.0
for _ in range(3):
    slope = np.array([2 * x * (weight * x - 3 * x)])
    world.Allreduce(MPI.IN_PLACE, slope, op=MPI.SUM)
    weight -= 0.01 * slope[0] / world.size
say(f"rank={world.rank} weight={weight:.12f}")

hosts = world.gather((socket.gethostname(), os.environ["SM_CURRENT_HOST"], weight))
if world.rank == 0:
    model = {"weight": weight, "ranks": hosts, "total": total.tolist()}
    Path("/opt/ml/model/model.json").write_text(json.dumps(model))

"""Learns whether two sentences mean the same, on any number of MPI processes.

The command line is that of BERT's classifier. The model is small: a sentence is the mean of its
words' vectors (frozen, from ``--init_checkpoint``), and a logistic regression decides on how two
sentences differ. Every process reads its share of the pairs; gradients are averaged over all of
them at each step, so all hold the same weights. The first process writes what there is to write.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from mpi4py import MPI

WORLD = MPI.COMM_WORLD
TASKS = {"mrpc": ("Quality", "#1 String", "#2 String")}
"""Task to the columns of its files: label, first sentence, second sentence."""
UNKNOWN = "[UNK]"


def parse() -> argparse.Namespace:
    """Return the flags; each hyperparameter of the job is one."""
    parser = argparse.ArgumentParser()
    for name in ("data_dir", "task_name", "vocab_file", "bert_config_file", "output_dir"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--init_checkpoint", required=True)
    parser.add_argument("--model_dir")
    parser.add_argument("--checkpoint_dir", default="/opt/ml/checkpoints", help="is kept, and back")
    parser.add_argument("--do_train", type=flag, default=False)
    parser.add_argument("--do_eval", type=flag, default=False)
    parser.add_argument("--max_seq_length", type=int, default=128)
    parser.add_argument("--train_batch_size", type=int, default=32, help="pairs for each process")
    parser.add_argument("--learning_rate", type=float, default=5e-5, help="for each process")
    parser.add_argument("--num_train_epochs", type=float, default=3.0)
    parser.add_argument("--save_checkpoints_epochs", type=int, default=25)
    return parser.parse_args()


def flag(text: str) -> bool:
    """Return what a command line means by a truth value."""
    return text.lower() in {"1", "true", "yes"}


class Reader:
    """Turns pairs of sentences into numbers."""

    def __init__(self, args: argparse.Namespace) -> None:
        config = json.loads(Path(args.bert_config_file).read_text())
        words = Path(args.vocab_file).read_text().split()
        self.words = {word: n for n, word in enumerate(words)}
        with np.load(args.init_checkpoint) as kept:
            self.vectors = kept["embeddings"]
        expected = (config["vocab_size"], config["hidden_size"])
        if self.vectors.shape != expected or len(words) != config["vocab_size"]:
            raise ValueError(
                f"{args.bert_config_file} speaks of {expected}, {args.init_checkpoint} holds "
                f"{self.vectors.shape}, {args.vocab_file} {len(words)} words"
            )
        self.longest = args.max_seq_length // 2

    def read(self, path: Path, task: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (features, labels) of a file; a row for each pair."""
        label, first, second = TASKS[task]
        with path.open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
        one = np.array([self.sentence(row[first]) for row in rows])
        two = np.array([self.sentence(row[second]) for row in rows])
        return np.hstack([np.abs(one - two), one * two]), np.array([float(r[label]) for r in rows])

    def sentence(self, text: str) -> np.ndarray:
        """Return the mean of its words' vectors."""
        known = [self.words.get(word, self.words[UNKNOWN]) for word in text.lower().split()]
        return self.vectors[known[: self.longest]].mean(axis=0)


class Checkpoints:
    """Weights on disk, as ``model.ckpt-<step>``; the file ``checkpoint`` names the last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def last(self) -> tuple[int, dict[str, np.ndarray]] | None:
        """Return (step, arrays) of the last one; None when there is none."""
        index = self.folder / "checkpoint"
        if not index.exists():
            return None
        name = index.read_text().split('"')[1]
        with np.load(self.folder / name) as kept:
            return int(name.rpartition("-")[2]), dict(kept)

    def save(self, step: int, arrays: dict[str, np.ndarray]) -> None:
        """Keep these; whoever reads meanwhile finds the ones before."""
        name = f"model.ckpt-{step}"
        with (self.folder / name).open("wb") as out:
            np.savez(out, **arrays)
        unfinished = self.folder / "checkpoint.new"
        unfinished.write_text(f'model_checkpoint_path: "{name}"\n')
        unfinished.replace(self.folder / "checkpoint")


def gradient(
    weights: np.ndarray, features: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return (gradient, loss), summed over the rows."""
    logits = features @ weights
    loss = np.logaddexp(0.0, logits) - labels * logits
    return features.T @ (1 / (1 + np.exp(-logits)) - labels), float(loss.sum())


def averaged(sums: np.ndarray, loss: float, count: int) -> tuple[np.ndarray, float]:
    """Return the mean gradient and loss over the rows of all processes."""
    mine = np.concatenate([sums, [loss, count]])
    everybody = np.empty_like(mine)
    WORLD.Allreduce(mine, everybody, op=MPI.SUM)
    return everybody[:-2] / everybody[-1], float(everybody[-2] / everybody[-1])


def scaled(features: np.ndarray, state: dict[str, np.ndarray]) -> np.ndarray:
    """Return the features about zero, each spread alike, and a constant one for the bias."""
    spread = (features - state["centre"]) / state["scale"]
    return np.hstack([spread, np.ones((len(spread), 1))])


def train(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray) -> int:
    """Learn by Adam; return the number of steps that the weights have seen."""
    checkpoints = Checkpoints(Path(args.checkpoint_dir))
    state = {name: np.zeros(features.shape[1] + 1) for name in ("weights", "mean", "square")}
    state |= {"centre": features.mean(axis=0), "scale": features.std(axis=0) + 1e-8}
    step, found = 0, WORLD.bcast(checkpoints.last() if WORLD.rank == 0 else None)
    if found is not None:
        step, state = found
        told(f"goes on from step {step}")
    features = scaled(features, state)
    per_epoch = -(-len(labels) // (args.train_batch_size * WORLD.size))
    rate = args.learning_rate * WORLD.size  # a step sees as many times more pairs
    while step < round(args.num_train_epochs * per_epoch):
        epoch, batch = divmod(step, per_epoch)
        order = np.random.default_rng(epoch).permutation(len(labels))  # the same everywhere
        mine = order[batch * WORLD.size + WORLD.rank :: per_epoch * WORLD.size]
        sums, lost = gradient(state["weights"], features[mine], labels[mine])
        slope, loss = averaged(sums, lost, len(mine))
        step += 1
        state["mean"] += 0.1 * (slope - state["mean"])
        state["square"] += 0.001 * (slope**2 - state["square"])
        mean, square = state["mean"] / (1 - 0.9**step), state["square"] / (1 - 0.999**step)
        state["weights"] = state["weights"] - rate * mean / (np.sqrt(square) + 1e-8)
        if batch == per_epoch - 1 and (epoch + 1) % args.save_checkpoints_epochs == 0:
            told(f"epoch={epoch + 1} step={step} loss={loss:.6f}")
            if WORLD.rank == 0:
                checkpoints.save(step, state)
    if WORLD.rank == 0:
        checkpoints.save(step, state)
        model = Path(args.model_dir or args.output_dir, "model.npz")
        np.savez(model, **{name: state[name] for name in ("weights", "centre", "scale")})
    agree(state["weights"])
    return step


def agree(weights: np.ndarray) -> None:
    """Fail unless every process has learned the same."""
    spread = np.empty_like(weights)
    WORLD.Allreduce(weights, spread, op=MPI.MAX)
    if not np.array_equal(spread, weights):
        raise RuntimeError(f"process {WORLD.rank} has other weights than the others")
    print(f"process {WORLD.rank} of {WORLD.size}: weights agree", flush=True)


def evaluate(args: argparse.Namespace, features: np.ndarray, labels: np.ndarray) -> None:
    """Write eval_results.txt: how the last checkpoint does on pairs it has not seen."""
    found = Checkpoints(Path(args.checkpoint_dir)).last()
    if found is None:
        raise FileNotFoundError(f"there is no checkpoint in {args.checkpoint_dir}; train first")
    step, state = found
    features = scaled(features, state)
    _, loss = gradient(state["weights"], features, labels)
    right = (features @ state["weights"] > 0) == (labels == 1)
    results = {
        "eval_accuracy": right.mean(),
        "eval_loss": loss / len(labels),
        "global_step": step,
    }
    text = "".join(f"{name} = {value}\n" for name, value in results.items())
    Path(args.output_dir, "eval_results.txt").write_text(text)
    print(text, end="", flush=True)


def told(text: str) -> None:
    """Say it once, not once for each process."""
    if WORLD.rank == 0:
        print(text, flush=True)


def main() -> None:
    """Train, evaluate, or both, as the flags say."""
    args = parse()
    reader, task, data = Reader(args), args.task_name.lower(), Path(args.data_dir)
    if args.do_train:
        features, labels = reader.read(data / "train.tsv", task)
        told(f"{len(labels)} pairs, {WORLD.size} processes")
        train(args, features, labels)
    if args.do_eval and WORLD.rank == 0:
        evaluate(args, *reader.read(data / "dev.tsv", task))


if __name__ == "__main__":
    main()

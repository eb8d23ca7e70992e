"""Scores a trained model on images it has never seen, and prints the accuracy alone."""

import sys
from pathlib import Path

import joblib
import numpy as np


def main(model: Path, holdout: Path) -> None:
    """Print the share of digits that the model reads right."""
    rows = np.loadtxt(holdout, delimiter=",")
    accuracy = joblib.load(model).score(rows[:, :64], rows[:, 64].astype(int))
    print(f"{accuracy:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

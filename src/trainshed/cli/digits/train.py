"""Learns to read handwritten digits: an ordinary script-mode program, as SageMaker runs them."""

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


def main() -> None:
    """Learn from train.csv (64 pixels and the digit in each row), and save the model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cost", type=float, default=10.0)
    parser.add_argument("--gamma", type=float, default=0.001)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN", "."))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "."))
    args = parser.parse_args()

    rows = np.loadtxt(Path(args.train, "train.csv"), delimiter=",")
    pixels, digits = rows[:, :64], rows[:, 64].astype(int)
    x, x_check, y, y_check = train_test_split(
        pixels, digits, test_size=0.2, random_state=7, stratify=digits
    )
    print(f"{len(x)} images to learn from, {len(x_check)} to check with")

    model = SVC(C=args.cost, gamma=args.gamma)
    model.fit(x, y)
    print(f"validation:accuracy={model.score(x_check, y_check):.4f}")

    joblib.dump(model, Path(args.model_dir, "model.joblib"))


if __name__ == "__main__":
    main()

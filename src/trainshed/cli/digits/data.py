"""Writes the digits as two files: train.csv to learn from, holdout.csv that no training sees.

The data are the 1,797 8x8 images that scikit-learn carries: the test part of the UCI "Optical
Recognition of Handwritten Digits" set (E. Alpaydin, C. Kaynak, 1998; CC BY 4.0).
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main(train: Path, holdout: Path) -> None:
    """Write both files, always the same split: 64 pixels and the digit in each row."""
    pixels, digits = load_digits(return_X_y=True)
    rows = np.column_stack([pixels, digits])
    learned, held_out = train_test_split(rows, test_size=0.25, random_state=42, stratify=digits)
    np.savetxt(train, learned, fmt="%d", delimiter=",")
    np.savetxt(holdout, held_out, fmt="%d", delimiter=",")
    print(f"{len(learned)} to learn from, {len(held_out)} held back")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Makes what the job needs from nothing: pairs of sentences, and word vectors learned from text.

    python prepare.py FOLDER

``FOLDER/data`` gets train.tsv and dev.tsv in the columns of the Microsoft Research Paraphrase
Corpus; ``FOLDER/code`` gets run_classifier_hvd.py and what it starts from: vocab.txt,
bert_config.json and bert_model.ckpt. The same each time.
"""

import json
import random
import shutil
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SEED = 7
HIDDEN = 24
SUBJECTS = (("company", "firm"), ("minister", "official"), ("player", "athlete"))
VERBS = (("said", "stated"), ("denied", "rejected"), ("expects", "foresees"))
OBJECTS = (("profit", "gain"), ("accident", "crash"), ("contract", "agreement"), ("house", "home"))
TIMES = (("yesterday", "wednesday"), ("soon", "shortly"), ("again", "anew"))
SLOTS = (SUBJECTS, VERBS, OBJECTS, TIMES)
"""A sentence takes a meaning from each; a meaning has two words."""


def sentence(choice: random.Random, meanings: list[int]) -> list[str]:
    """Return a sentence of these meanings, each in one of its words."""
    words = [choice.choice(slot[meaning]) for slot, meaning in zip(SLOTS, meanings, strict=True)]
    return ["the", words[0], words[1], "the", words[2], words[3]]


def meanings(choice: random.Random) -> list[int]:
    """Return a meaning for each slot."""
    return [choice.randrange(len(slot)) for slot in SLOTS]


def pairs(choice: random.Random, count: int) -> str:
    """Return a file of pairs, half of which mean the same."""
    lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
    for n in range(count):
        same = n % 2
        first = meanings(choice)
        second = list(first)
        while not same and second == first:
            second = meanings(choice)
        texts = (" ".join(sentence(choice, each)) for each in (first, second))
        lines.append("\t".join([str(same), str(2 * n), str(2 * n + 1), *texts]))
    return "\n".join(lines) + "\n"


def story(choice: random.Random) -> list[str]:
    """Return two sentences that say the same: what makes synonyms neighbours."""
    said = meanings(choice)
    return sentence(choice, said) + sentence(choice, said)


def vectors(words: list[str], choice: random.Random) -> np.ndarray:
    """Return a vector for each word, by factoring how much oftener than by chance two meet."""
    number = {word: n for n, word in enumerate(words)}
    met = np.full((len(words), len(words)), 0.1)
    for _ in range(4000):
        told = [number[word] for word in story(choice)]
        for one in told:
            for other in told:
                met[one, other] += one != other
    chance = met.sum(axis=1, keepdims=True) * met.sum(axis=0) / met.sum()
    left, strength, _ = np.linalg.svd(np.maximum(np.log(met / chance), 0))
    return left[:, :HIDDEN] * np.sqrt(strength[:HIDDEN])


def main(folder: Path) -> None:
    """Write everything below ``folder``."""
    choice = random.Random(SEED)
    data, code = folder / "data", folder / "code"
    for each in (data, code):
        each.mkdir(parents=True, exist_ok=True)
    (data / "train.tsv").write_text(pairs(choice, 640))
    (data / "dev.tsv").write_text(pairs(choice, 160))
    known = sorted({word for slot in SLOTS for synonyms in slot for word in synonyms})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", *known]
    shutil.copy(HERE / "code" / "run_classifier_hvd.py", code)
    (code / "vocab.txt").write_text("\n".join(words) + "\n")
    config = {"vocab_size": len(words), "hidden_size": HIDDEN}
    (code / "bert_config.json").write_text(json.dumps(config))
    with (code / "bert_model.ckpt").open("wb") as out:
        np.savez(out, embeddings=vectors(words, choice))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

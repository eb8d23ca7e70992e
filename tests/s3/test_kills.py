"""A server that is killed again and again while clients write loses, tears and invents nothing."""

import random
from pathlib import Path

import pytest
from tests.s3.killing import Run


@pytest.mark.timeout(300)
def test_no_object_is_torn_lost_or_phantom_after_kills_in_500_uploads(
    tmp_path: Path, record_property: pytest.FixtureRequest
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    run = Run(tmp_path, seed, uploads=500)
    run.carry_out()
    assert run.check() == [], f"seed {seed}: python -m tests.s3.killing --seed {seed} FOLDER"
    assert run.kills >= 8, f"seed {seed}: only {run.kills} kills"
    record_property("figure", f"500 uploads survived {run.kills} kills")

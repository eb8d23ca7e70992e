"""What settings say of projects, the queue and prices; and how what makes no sense is refused."""

from math import inf
from pathlib import Path

import pytest

from trainshed.app import sharing
from trainshed.app.backends import containers, local
from trainshed.app.settings import DockerBackend, Settings, SettingsError, load
from trainshed.engine.scheduling import Policy, Project

SECRET = "a-secret-that-is-long"


def settings(folder: Path, text: str) -> Settings:
    path = folder / "trainshed.toml"
    path.write_text(text)
    return load(path)


def test_projects_have_weights_quotas_and_keys_of_their_own(tmp_path: Path) -> None:
    told = settings(
        tmp_path,
        f"""
[projects.vision]
weight = 2
max_jobs = 3
max_nodes = 4
max_gpus = 8
instance_types = ["ml.g5.*"]
max_cost_per_hour = 12.5
access_keys = {{ AKVISION1 = "{SECRET}" }}
[projects.default]
max_jobs = 1
""",
    )
    rules = sharing.policy(told.queue, told.projects)
    assert rules.project("vision") == Project(
        name="vision",
        weight=2,
        max_jobs=3,
        max_nodes=4,
        max_gpus=8,
        instance_types=("ml.g5.*",),
        max_cost_per_hour=12.5,
    )
    assert rules.project("") == Project(name="", max_jobs=1)
    assert sharing.projects_of_keys(told.projects) == {"AKVISION1": "vision"}
    assert SECRET in told.secrets()


def test_the_queue_is_as_its_table_says(tmp_path: Path) -> None:
    text = """
[queue]
ageing_minutes = 5
memory_hours = 0
backfill = false
preemption = false
release_pools_minutes = 2
"""
    told = settings(tmp_path, text)
    assert sharing.policy(told.queue, told.projects) == Policy(
        ageing=300, half_life=0, backfill=False, preemption=False, pool_patience=120
    )
    assert sharing.policy(Settings().queue, {}) == Policy(pool_patience=inf)


@pytest.mark.parametrize("kind", ["local", "docker"])
def test_backends_have_capacities_limits_and_prices(tmp_path: Path, kind: str) -> None:
    told = settings(
        tmp_path,
        f"""
[backends.{kind}]
max_launching = 2
capacity = {{ "ml.p3.*" = 2 }}
prices = {{ "ml.p3.*" = 3.06, "*" = 0.1 }}
spot_prices = {{ "ml.p3.*" = 0.92 }}
""",
    ).backends
    offered = (
        local(told.local) if kind == "local" else containers(told.docker or DockerBackend(), "")
    )
    assert offered.capacity == (("ml.p3.*", 2),)
    assert offered.max_launching == 2
    assert offered.prices == (("ml.p3.*", 3.06), ("*", 0.1))
    assert offered.spot_prices == (("ml.p3.*", 0.92),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[projects.a]\nweight = 0\n", "Expected `float` > 0.0"),
        ("[projects.a]\nmax_gpu = 1\n", "unknown field `max_gpu`"),
        ("[projects.a]\nmax_jobs = -1\n", "Expected `int` >= 0"),
        ('[projects.a]\naccess_keys = { AK = "short" }\n', "shorter than 16 letters"),
        (f'[projects.a]\naccess_keys = {{ "A/K" = "{SECRET}" }}\n', "letters and digits alone"),
        (
            (
                f'[projects.a]\naccess_keys = {{ AK = "{SECRET}" }}\n'
                f'[projects.b]\naccess_keys = {{ AK = "{SECRET}" }}\n'
            ),
            "projects.b.access_keys: 'AK' is a key of projects.a already",
        ),
        ("[queue]\nageing = 1\n", "unknown field `ageing`"),
        ("[queue]\nageing_minutes = -1\n", "Expected `float` >= 0.0"),
        ('[backends.local]\ncapacity = { "ml.p3.*" = -1 }\n', "Expected `int` >= 0"),
        ('[backends.local]\nprices = { "ml.p3.*" = "x" }\n', "Expected `float`"),
        ('[spot]\nrequire_checkpoints = "yes"\n', "Expected `bool`"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError) as error:
        settings(tmp_path, text)
    assert says in str(error.value)
    assert "trainshed.toml" in str(error.value)

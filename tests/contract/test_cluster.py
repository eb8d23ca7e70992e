"""Several hosts: names, addresses, how they reach each other, and what one's end does to all."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.contract.job import LOOK, Job
from tests.contract.place import Place
from tests.journeys.shed import until

PEERS = """
import probe, socket, threading
me = probe.config("resourceconfig")["current_host"]
hosts = probe.config("resourceconfig")["hosts"]
addresses = {host: probe.address(host) for host in hosts}
listener = socket.create_server((addresses[me], 7777))
heard = []
def answer():
    while len(heard) < len(hosts):
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.recv(100).decode())
            connection.sendall(me.encode())
thread = threading.Thread(target=answer)
thread.start()
answers = {}
for host in hosts:
    for attempt in range(600):
        try:
            with socket.create_connection((host, 7777), timeout=30) as connection:
                connection.sendall(me.encode())
                answers[host] = connection.recv(100).decode()
            break
        except ConnectionRefusedError:
            threading.Event().wait(0.1)
thread.join(60)
probe.save(addresses=addresses, answers=answers, heard=sorted(heard))
"""
THREE = Job(name="cluster", main=PEERS, nodes=3)
HOSTS = ("algo-1", "algo-2", "algo-3")
TEN = Job(
    name="cluster-ten",
    nodes=10,
    main="import probe\nhost = probe.config('resourceconfig')['current_host']\n"
    "if host in ('algo-2', 'algo-10'): probe.save()\n",
)
ONE_FAILS = Job(
    name="cluster-one-fails",
    nodes=3,
    main="""
import probe, signal, socket, sys
host = probe.config("resourceconfig")["current_host"]
def told(number, frame):
    print("told to stop", flush=True)
    probe.write("model/saved-" + host, "1")
    sys.exit(0)
signal.signal(signal.SIGTERM, told)
others = [each for each in ("algo-1", "algo-3")]
if host == "algo-2":
    for each in others:
        probe.address(each)
        for attempt in range(600):
            try:
                socket.create_connection((each, 7777), timeout=30).close()
                break
            except ConnectionRefusedError:
                signal.sigtimedwait([], 0.1)
    sys.exit("had enough")
listener = socket.create_server((probe.address(host), 7777))
listener.accept()
while True:
    signal.pause()
""",
)


def begin_the_second_once_the_first_is_over(shed: Any, name: str) -> None:
    """Wait until the first host's container is over; then tell the second's program."""
    nodes = shed.server.data / "nodes"

    def folder(host: str) -> Path | None:
        for plan in nodes.glob(f"*.{host}/plan.json"):
            with suppress(FileNotFoundError):  # another job's node that is being removed
                if json.loads(plan.read_text())["job_name"] == name:
                    return plan.parent
        return None

    def is_over() -> bool:
        first = folder("algo-1")
        journal = first and first / "journal.jsonl"
        return bool(journal and journal.exists() and '"exited"' in journal.read_text())

    until(is_over, lambda: f"{shed.describe(name)}", timeout=60)
    second = folder("algo-2")
    assert second is not None
    model = second / "ml/model"
    until(model.is_dir, lambda: f"{shed.describe(name)}")  # its node may be later still
    (model / "begin").touch()


LATE = Job(
    name="cluster-late",
    nodes=2,
    main="""
import pathlib, probe, threading
hosts = probe.config("resourceconfig")["hosts"]
me = probe.config("resourceconfig")["current_host"]
begin = pathlib.Path("/opt/ml/model/begin")
while me == "algo-2" and not begin.exists():
    threading.Event().wait(0.05)
probe.save(addresses={host: probe.address(host, 10) for host in hosts})
""",
    meanwhile=begin_the_second_once_the_first_is_over,
)
LATE_TOOLKIT = Job(
    name="cluster-late-toolkit",
    nodes=2,
    image="trainshed-test/contract-late",
    source={"train.py": LOOK},
    meanwhile=begin_the_second_once_the_first_is_over,
)
SINGLE = Job(
    name="cluster-single",
    main="import probe\nprobe.save(address=probe.address('algo-1'))\n",
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_knows_its_own_name(place: Place, host: str) -> None:
    assert place.run(THREE).config("resourceconfig", host)["current_host"] == host


@pytest.mark.parametrize("host", HOSTS)
def test_the_system_of_a_host_has_the_hosts_name(place: Place, host: str) -> None:
    assert place.run(THREE).looks[host]["host_name"] == host


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_knows_all_hosts(place: Place, host: str) -> None:
    assert place.run(THREE).config("resourceconfig", host)["hosts"] == list(HOSTS)


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_finds_all_by_their_names(place: Place, host: str) -> None:
    assert set(place.run(THREE).looks[host]["addresses"]) == set(HOSTS)


def test_the_hosts_agree_on_their_addresses(place: Place) -> None:
    seen = place.run(THREE)
    assert len({tuple(seen.looks[host]["addresses"].values()) for host in HOSTS}) == 1


def test_each_host_has_an_address_of_its_own(place: Place) -> None:
    assert len(set(place.run(THREE).look["addresses"].values())) == 3


@pytest.mark.parametrize("host", HOSTS)
def test_all_hosts_can_listen_on_one_port_and_are_told_apart(place: Place, host: str) -> None:
    assert place.run(THREE).looks[host]["answers"] == {each: each for each in HOSTS}


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_is_reached_by_all(place: Place, host: str) -> None:
    assert place.run(THREE).looks[host]["heard"] == list(HOSTS)


def test_a_host_is_found_by_its_name_when_it_is_over(place: Place) -> None:
    seen = place.run(LATE)
    assert seen.status == ("Completed", "Completed")
    assert seen.looks["algo-2"]["addresses"] == seen.looks["algo-1"]["addresses"]


@pytest.mark.docker
def test_a_script_begins_when_another_host_is_over(containers: Place) -> None:
    seen = containers.run(LATE_TOOLKIT)
    assert seen.status == ("Completed", "Completed")
    assert set(seen.looks) == {"algo-1", "algo-2"}


def test_a_single_host_is_found_by_its_name_too(place: Place) -> None:
    assert place.run(SINGLE).look["address"]


def test_a_single_host_is_called_algo_1(place: Place) -> None:
    assert place.run(SINGLE).look["host_name"] == "algo-1"


@pytest.mark.parametrize("host", ["algo-2", "algo-10"])
def test_hosts_are_sorted_as_text(place: Place, host: str) -> None:
    hosts = place.run(TEN).config("resourceconfig", host)["hosts"]
    assert hosts == ["algo-1", "algo-10", *(f"algo-{n}" for n in range(2, 10))]


def test_the_hosts_of_a_group_are_sorted_as_text_too(place: Place) -> None:
    (group,) = place.run(TEN).config("resourceconfig", "algo-10")["instance_groups"]
    assert group["hosts"][:3] == ["algo-1", "algo-10", "algo-2"]


@pytest.mark.parametrize("host", ["algo-2", "algo-10"])
def test_every_host_can_save_what_is_kept(place: Place, host: str) -> None:
    assert f"seen-{host}.json" in place.run(TEN).output


def test_all_hosts_must_succeed(place: Place) -> None:
    assert place.run(ONE_FAILS).status == ("Failed", "Failed")


def test_the_host_that_failed_first_is_named_with_its_reason(place: Place) -> None:
    assert place.run(ONE_FAILS).reason == "AlgorithmError: had enough, exit code: 1 (algo-2)"


@pytest.mark.parametrize("host", ["algo-1", "algo-3"])
def test_the_others_are_told_to_stop(place: Place, host: str) -> None:
    assert "told to stop" in place.run(ONE_FAILS).lines[host]


@pytest.mark.parametrize("host", ["algo-1", "algo-3"])
def test_what_the_others_save_is_kept(place: Place, host: str) -> None:
    assert place.run(ONE_FAILS).model[f"saved-{host}"] == b"1"


def test_shared_memory_is_larger_than_an_engines_64_mb(place: Place) -> None:
    # PyTorch's data loaders fail in less.
    assert place.run(SINGLE).look["shm_bytes"] > 64 << 20

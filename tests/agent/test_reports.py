"""Reporting through everything that can happen between an agent and its server."""

import contextlib
import http.client
import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import Agent, until

from trainshed.agent.journal import Journal
from trainshed.agent.log import OutputLog
from trainshed.agent.report import Reporter
from trainshed.domain.facts import Kind
from trainshed.domain.plan import NodePlan

MakeAgent = Callable[..., Agent]


def test_lines_arrive_while_the_script_runs(agent: MakeAgent) -> None:
    node = agent("echo first; sleep 600").start()
    node.wait_for_line("first")
    assert node.fact(Kind.TRAINING) is not None


def test_a_lost_answer_changes_nothing(agent: MakeAgent) -> None:
    node = agent("for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
    node.reports.lose_answers(4)
    node.start().wait()
    assert node.lines() == ["1", "2", "3", "4", "5"]
    assert node.ended() == ("completed", "")
    assert node.reports.log(node.plan.node_id) == (node.folder / "output.log").read_bytes()


def test_an_agent_waits_for_its_server_and_then_tells_everything(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 0.3; echo over")
    node.reports.stop()
    node.start()
    until(lambda: '"ended"' in _journal(node))
    assert node.kinds() == []
    node.reports.start()
    node.wait()
    assert node.lines() == ["up", "over"]
    assert node.ended() == ("completed", "")


def test_what_the_server_lost_is_sent_again(agent: MakeAgent) -> None:
    node = agent("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done", grace=0.1).start()
    node.wait_for_line("line 3")
    node.reports.stop()
    node.reports.lose_log(node.plan.node_id, 5)
    node.reports.start()
    node.wait_for_line("line 9")
    node.signal(15)
    node.wait()
    assert node.reports.log(node.plan.node_id) == (node.folder / "output.log").read_bytes()


def test_a_next_agent_learns_what_was_taken_before(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    node.kill()
    node.start().wait()
    assert node.lines() == ["up"]
    assert [fact.n for fact in node.reports.facts(node.plan.node_id)] == [1, 2, 3]


def test_many_lines_all_arrive_once(agent: MakeAgent) -> None:
    node = agent("seq 1 200000")
    node.start().wait()
    assert node.lines() == [str(i) for i in range(1, 200001)]


def test_the_end_is_told_after_the_last_line(agent: MakeAgent) -> None:
    node = agent("seq 1 100000; echo last")
    node.start()
    node.reports.wait_for(lambda: node.fact(Kind.ENDED))
    assert node.lines()[-1] == "last"


def test_an_agent_without_data_and_without_s3_stays_small(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 600").start()
    node.wait_for_line("up")
    with (node.proc / "status").open() as status:
        rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert rss < 40 * 1024


@pytest.mark.parametrize("script", ["while :; do echo line; sleep 0.05; done", "sleep 600"])
def test_an_agent_whose_server_and_folder_are_gone_ends(agent: MakeAgent, script: str) -> None:
    node = agent(f"echo line; {script}").start()
    node.wait_for_line("line")
    node.reports.stop()
    shutil.rmtree(node.folder)
    assert node.process is not None
    assert node.process.wait(60) == 0


@pytest.mark.parametrize("refused", [True, False])
def test_an_agent_that_nobody_listens_to_leaves_in_the_end_and_the_next_one_tells_all(
    agent: MakeAgent, tmp_path: Path, refused: bool
) -> None:
    node = agent("true")
    journal, log = Journal(tmp_path / "journal.jsonl"), OutputLog(tmp_path / "output.log")
    log.add(b"a line\n")
    journal.append(Kind.ENDED, outcome="completed", reason="")
    if refused:
        plan = replace(node.plan, token="of a server that was here before")
    else:
        plan = replace(node.plan, server_url="http://127.0.0.1:9")
    forgotten: list[bool] = []

    def reporter(plan: NodePlan) -> Reporter:
        return Reporter(plan, journal, log, lambda: forgotten.append(True))

    assert not reporter(plan).finish(0.2)
    assert reporter(node.plan).finish(30)
    assert not forgotten
    assert node.lines() == ["a line"]
    assert node.kinds() == ["ended"]


def _journal(node: Agent) -> str:
    path = node.folder / "journal.jsonl"
    return path.read_text() if path.exists() else ""


def test_strangers_at_the_servers_address_are_not_believed(agent: MakeAgent) -> None:
    node = agent("echo up; sleep 1; echo over")
    node.reports.stop()
    strange = Stranger(("127.0.0.1", int(node.plan.server_url.rpartition(":")[2])), AlwaysMissing)
    with serving(strange):
        node.start()
        assert strange.asked.wait(30)
    node.reports.start()
    node.wait()
    assert node.lines() == ["up", "over"]
    assert node.ended() == ("completed", "")


def test_lines_arrive_by_tls_too(agent: MakeAgent) -> None:
    certificate = Path(__file__).parents[1] / "wire" / "loopback.pem"
    node = agent("seq 1 100000")
    with sealed(certificate, node.plan.server_url) as url:
        node.plan = replace(node.plan, server_url=url)
        node.start(SSL_CERT_FILE=str(certificate)).wait()
    assert node.lines() == [str(i) for i in range(1, 100001)]


@contextlib.contextmanager
def sealed(certificate: Path, url: str) -> Iterator[str]:
    """Serve what ``url`` answers by TLS; yield where."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    port = int(url.rpartition(":")[2])

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = http.client.HTTPConnection("127.0.0.1", port)
            asked.request(self.command, self.path, body, dict(self.headers))
            answer = asked.getresponse()
            text = answer.read()
            asked.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Relay)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield f"https://127.0.0.1:{server.server_address[1]}"


class Stranger(HTTPServer):
    """Another program that got the port while the server was away."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked = threading.Event()


class AlwaysMissing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(404)
        assert isinstance(self.server, Stranger)
        self.server.asked.set()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield
    server.shutdown()
    thread.join()
    server.server_close()

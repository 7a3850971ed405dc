"""The command line as people and programs use it: real processes, exit codes, streams."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import pytest
import sklearn

from gateway.paths import SHIPPED

HEALTH = Path(__file__).parents[2] / "deploy/container/health.py"
FLOWER = str(Path(sklearn.__file__).parent / "datasets/images/flower.jpg")
THREAT = "I am going to come to your house and beat you to death."
CONFIG = f"""
server: {{port: 0}}
auth: {{}}
providers: {{local-text: {{adapter: local_text}}}}
routes: {{default: {{text: {{ask: [local-text]}}}}}}
policies: {{dir: {json.dumps(str(SHIPPED / "policies"))}}}
"""


def modgate(*arguments, config=None, stdin=None, cwd=None):
    environment = {**os.environ, **({"MODGATE_CONFIG": str(config)} if config else {})}
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments],
        capture_output=True,
        text=True,
        input=stdin,
        env=environment,
        cwd=cwd,
        timeout=110,
        check=False,
    )


@pytest.fixture
def shipped(tmp_path):
    """The shipped configuration with its data in a folder of the test's."""
    file = tmp_path / "gateway.yaml"
    text = (SHIPPED / "gateway.yaml").read_text().replace("dir: ./policies", f"dir: {SHIPPED / 'policies'}")
    file.write_text(text)
    return file


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    return file


def test_a_photo_and_a_kind_word_are_allowed(shipped):
    done = modgate("moderate", "--text", "A walk in the garden", FLOWER, "--json", config=shipped)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["action"]) == (0, "allow")
    assert [part["type"] for part in answer["inputs"]] == ["text", "image"]
    assert done.stderr == ""


def test_a_threat_is_not(shipped):
    done = modgate("moderate", "--text", "-", "--json", config=shipped, stdin=THREAT)
    answer = json.loads(done.stdout)
    assert done.returncode == {"review": 3, "block": 4}[answer["action"]]
    assert answer["reasons"]


def test_people_get_a_table_with_the_reasons_first(shipped):
    done = modgate("moderate", "--text", THREAT, "--context", "locale=de", config=shipped)
    assert done.returncode in (3, 4)
    assert re.match(r" (BLOCK|REVIEW) ", done.stdout)
    assert "scheint" in done.stdout
    assert "nobody looked for" in done.stdout


WRONG = [
    # arguments, exit code, words on stderr
    (["moderate"], 2, "empty_submission"),
    (["moderate", "--text", "a", "--policy", "socail"], 2, "did you mean 'social'?"),
    (["moderate", "--text", "a", "--context", "country"], 2, "k=v"),
    (["moderate", "no-such-file.jpg"], 2, "no-such-file.jpg"),
    (["moderate", __file__], 1, "not_an_image"),
    (["moderate", "--config", "nowhere.yaml", "--text", "a"], 2, "nowhere.yaml"),
    (["serve", "--port", "99999"], 2, "65535"),
    (["serve", "--host", "0.0.0.0"], 2, "auth"),
    (["moderat"], 2, "moderat"),
]


@pytest.mark.parametrize("arguments, code, words", WRONG, ids=[" ".join(row[0])[:40] for row in WRONG])
def test_what_is_wrong_is_said_on_stderr_in_one_place(shipped, arguments, code, words):
    done = modgate(*arguments, config=shipped)
    assert done.returncode == code
    assert words in " ".join(re.sub("[│╭╮╰╯─]", " ", done.stderr).split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_broken_configuration_is_told_with_line_and_column(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.replace("routes", "rotues"))
    done = modgate("doctor", config=file)
    assert done.returncode == 2
    assert f"{file}:5:1: " in done.stderr  # on one line, however long
    assert "did you mean 'routes'?" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["serve"],
        ["moderate"],
        ["doctor"],
        ["keys"],
        ["keys", "create"],
        ["keys", "list"],
        ["keys", "revoke"],
        ["policy"],
        *(["policy", name] for name in ("check", "schema", "test", "diff", "explain", "backtest", "bench", "compile")),
        ["sweep"],
    ],
)
def test_every_command_explains_itself_with_an_example(command):
    done = modgate(*command, "--help")
    assert done.returncode == 0
    assert "Example: modgate" in done.stdout
    if command and command not in (["keys"], ["policy"]):
        assert {"--config", "--json"} <= set(done.stdout.split())


def test_it_says_which_version_it_is():
    done = modgate("--version")
    assert (done.returncode, done.stdout) == (0, f"modgate {version('modgate')}\n")


def test_policies_are_checked_with_every_problem_in_its_place(tmp_path, shipped):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("policy: good\nthresholds: {hate: {review: 0.5}}\n")
    bad.write_text("policy: bad\nthresholds:\n  hate: {reveiw: 0.5}\n  sexual: {block: 2}\n")
    done = modgate("policy", "check", str(good), str(bad), "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (2, False)
    errors = [problem for problem in report["problems"] if problem["severity"] == "error"]
    assert [(problem["file"], problem["line"], problem["column"]) for problem in errors] == [
        (str(bad), 3, 10),
        (str(bad), 4, 19),
    ]
    assert set(report["problems"][0]) >= {"file", "line", "column", "severity", "code", "message", "hint"}
    assert f"{bad}:3:10: " in modgate("policy", "check", str(bad)).stdout
    assert modgate("policy", "check", str(good)).returncode == 0
    assert modgate("policy", "check", config=shipped).returncode == 0


def test_doctor_asks_everybody(shipped):
    done = modgate("doctor", "--json", config=shipped)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True)
    assert {(probe["name"], probe["status"]) for probe in report["providers"]} == {
        ("local-image", "ok"),
        ("local-text", "ok"),
    }
    assert all(check["ok"] for check in report["checks"])


def test_doctor_says_who_is_ill_and_never_the_key(tmp_path):
    file = tmp_path / "gateway.yaml"
    vendor = '{adapter: openai, base_url: "http://127.0.0.1:9/v1", api_key: canary-5ecret, retry: {attempts: 1}}'
    file.write_text(CONFIG.replace("providers: {", f"providers: {{vendor: {vendor}, "))
    done = modgate("doctor", "--json", config=file)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)
    assert {probe["name"]: probe["status"] for probe in report["providers"]} == {
        "vendor": "unavailable",
        "local-text": "ok",
    }
    assert "canary-5ecret" not in done.stdout + done.stderr


class Serving:
    """A gateway as its own process; `url` once it answers."""

    def __init__(self, config, *arguments):
        self.log = config.parent / "log"
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config), *arguments]
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    def __enter__(self):
        for _ in range(1000):
            if found := re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text()):
                self.url = found[0]
                return self
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, key=None, path="/v1/moderate", body=b'{"text": "A walk on the beach"}'):
        headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
        request = urllib.request.Request(self.url + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)


def test_keys_are_made_shown_once_and_revoked_while_it_runs(config):
    with Serving(config) as gateway:
        assert gateway.ask()[1]["code"] == "missing_key"
        made = json.loads(modgate("keys", "create", "app", "--role", "submit", "--json", config=config).stdout)
        assert made["key"].startswith("mg_live_")
        assert modgate("keys", "create", "app", config=config).returncode == 2
        listed = modgate("keys", "list", "--json", config=config).stdout
        assert made["key"] not in listed
        assert [(key["name"], key["roles"], key["state"]) for key in json.loads(listed)["keys"]] == [
            ("app", ["submit"], "good")
        ]
        assert until(lambda: gateway.ask(made["key"])[0] == 200)
        assert modgate("keys", "revoke", "app", config=config).returncode == 0
        assert until(lambda: gateway.ask(made["key"])[0] == 401)
        assert modgate("keys", "revoke", "app", config=config).returncode == 2
        assert made["key"] not in gateway.log.read_text()
        assert "-H 'Authorization: Bearer KEY'" in gateway.log.read_text()


def test_sigterm_ends_it_in_order_and_the_log_is_json(config):
    config.write_text(CONFIG.replace("auth: {}\n", ""))
    with Serving(config) as gateway:
        status, answer = gateway.ask()
        assert (status, answer["action"]) == (200, "allow")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=60) == 0
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    [request] = [line for line in lines if line["event"] == "request"]
    assert (request["route"], request["status"], request["decision"]) == ("/v1/moderate", 200, answer["id"])
    assert "beach" not in json.dumps(request)
    assert any(line["event"] == "draining" for line in lines)
    assert "Bearer" not in gateway.log.read_text()


def test_what_is_under_way_when_sigterm_comes_is_answered(config):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never says a word
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        vendor = f'{{adapter: openai, base_url: "{address}", api_key: k, timeout: 2s, retry: {{attempts: 1}}}}'
        routes = "routes: {default: {text: {ask: [vendor]}}}"
        text = CONFIG.replace("auth: {}\n", "").replace("providers: {", f"providers: {{vendor: {vendor}, ")
        config.write_text(re.sub("routes: .*", routes, text))
        with Serving(config) as gateway, ThreadPoolExecutor() as threads:
            bodies = [json.dumps({"text": f"A walk on beach {number}"}).encode() for number in range(5)]
            under_way = [threads.submit(gateway.ask, body=body) for body in bodies]
            asked = [silent.accept() for _ in bodies]
            gateway.process.send_signal(signal.SIGTERM)
            answers = [request.result(timeout=60) for request in under_way]
            assert gateway.process.wait(timeout=60) == 0
            for connection, _ in asked:
                connection.close()
    assert [(status, answer["action"], answer["degraded"]) for status, answer in answers] == [(200, "review", True)] * 5


def counted(gateway):
    """How many decisions the metrics of all workers tell of."""
    with urllib.request.urlopen(gateway.url + "/metrics", timeout=60) as response:
        told = response.read().decode()
    return sum(map(float, re.findall(r'modgate_requests_total\{route="/v1/moderate",status="200"\} ([\d.]+)', told)))


def test_workers_share_the_port_and_the_metrics(config):
    config.write_text(CONFIG.replace("auth: {}\n", ""))
    with Serving(config, "--workers", "2") as gateway:
        assert until(lambda: answers(gateway))
        asked = sum(gateway.ask()[0] == 200 for _ in range(20))
        assert asked == 20
        assert until(lambda: counted(gateway) >= 20)
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=60) == 0


def test_a_worker_that_is_killed_is_replaced(config):
    config.write_text(CONFIG.replace("auth: {}\n", ""))
    with Serving(config, "--workers", "2") as gateway:
        assert until(lambda: answers(gateway))
        [killed, stays] = workers(gateway)
        os.kill(killed, signal.SIGKILL)
        assert until(lambda: len({*workers(gateway)} - {killed}) == 2)  # looked at once: it may die between two looks
        assert stays in workers(gateway)
        assert until(lambda: answers(gateway))
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(timeout=60) == 0
    assert '"event":"worker_killed"' in gateway.log.read_text()


def test_workers_that_cannot_begin_end_it(config):
    config.write_text(CONFIG.replace("policies: {", "policies: {default: nope, "))
    done = modgate("serve", "--workers", "2", config=config)
    assert (done.returncode, f"{config}:6:21: policies.default names 'nope'" in done.stderr) == (2, True)
    assert "there are kids-avatars, marketplace, social" in done.stderr


def workers(gateway):
    """The processes that it has begun, by number, those that ended aside."""
    pids = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text().split()
    return [int(pid) for pid in pids if " Z " not in Path(f"/proc/{pid}/stat").read_text()]


def test_programs_are_told_as_json_where_it_listens(config):
    command = [sys.executable, "-m", "gateway.cli", "serve", "--json", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        told = json.loads(process.stdout.read1())
        process.terminate()
    assert told == {"address": told["address"], "docs": told["address"] + "/docs"}
    assert told["address"].startswith("http://127.0.0.1:")


def healthy(file):
    """What the container's health check makes of it: an empty text, or what is wrong."""
    command = [sys.executable, "-IS", str(HEALTH)]
    environment = {"MODGATE_ADDRESS_FILE": str(file)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_health_check_of_the_container_finds_it_wherever_it_listens(config):
    file = config.parent / "address"
    assert healthy(file).returncode == 1
    with Serving(config, "--address-file", str(file)) as gateway:
        assert file.read_text() == f"{gateway.url}\n"
        assert until(lambda: healthy(file).returncode == 0)
    gone = healthy(file)
    assert (gone.returncode, gone.stderr.startswith("ConnectionRefusedError")) == (1, True)


def test_an_address_that_cannot_be_written_down_stops_the_start(config):
    done = modgate("serve", "--address-file", str(config.parent), config=config)
    assert done.returncode == 2
    assert "the address cannot be written there: Is a directory" in done.stderr


def answers(gateway):
    try:
        return gateway.ask()[0] == 200
    except OSError:
        return False


def until(true, seconds=60.0):
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return False

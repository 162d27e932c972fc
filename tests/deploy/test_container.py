"""The image and compose: what they name is there, and is what the program takes."""

from __future__ import annotations

import fnmatch
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from model.classifier import WEIGHTS
from stream import watchlist
from stream.health import HealthServer
from stream.settings import HttpSettings, load
from tests.alerts.test_rules import ALERTMANAGER, PROMETHEUS, check
from tests.deploy.commands import WrongCommand, check_command
from tests.deploy.environment import CONFIG, interpolated, only, settings_of, unknown
from tests.servers import ROOT

DEPLOY = ROOT / "deploy"
COMPOSE_TEXT = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRETS = {
    name: f"test-{name.lower()}"
    for name in ("POSTGRES_PASSWORD", "RELAY_TOKEN", "AUTHOR_KEY", "GRAFANA_PASSWORD")
}
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
STEPS = [
    step.split(maxsplit=1)
    for step in re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    if step.strip() and not step.startswith("#")
]
TARGETS = {words.split()[-1] for name, words in STEPS if name == "FROM"}


def tool(name: str) -> str:
    """A program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def environment(service: dict[str, Any]) -> dict[str, str]:
    given = service.get("environment", {})
    return {name: interpolated(str(value), SECRETS) for name, value in given.items()}


def test_the_docker_file_passes_its_linter() -> None:
    done = subprocess.run(
        [tool("hadolint"), "--failure-threshold", "info", str(DEPLOY / "Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_is_what_the_specification_allows() -> None:
    done = subprocess.run(
        [
            tool("check-jsonschema"),
            *("--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_copied_into_the_image_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    for name, words in STEPS:
        if name != "COPY" or "--from=" in words:
            continue
        for source in words.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert {source, source.split("/")[0]} & let_in, f"{source} is in .dockerignore"


def test_stages_copy_from_stages_that_are_there() -> None:
    assert set(re.findall(r"--from=([\w-]+)", DOCKERFILE)) <= TARGETS


def test_the_image_runs_as_nobody_special_and_is_checked() -> None:
    users = [words for name, words in STEPS if name == "USER"]
    # The GPU's image installs a compiler in between.
    assert users == ["10001:10001", "0:0", "10001:10001"]
    assert [name for name, _ in STEPS].count("HEALTHCHECK") == 1
    for target in ("light", "gpu"):
        assert re.search(rf"^FROM runtime AS {target}$", DOCKERFILE, re.MULTILINE)
    entry = next(words for name, words in STEPS if name == "ENTRYPOINT")
    assert json.loads(entry) == ["barograph"]


def test_everything_that_is_installed_is_checked_by_its_hash() -> None:
    for name, words in STEPS:
        if name == "RUN" and "pip install" in words:
            assert "--require-hashes" in words or "--no-deps" in words
    locks = sorted(set(re.findall(r"requirements/\S+\.txt", DOCKERFILE)))
    assert locks == [f"requirements/{n}.txt" for n in ("build", "gpu", "light")]
    for lock in locks:
        text = (ROOT / lock).read_text()
        pins = re.findall(r"^[a-z][\w.-]*==", text, re.MULTILINE)
        assert pins
        assert len(pins) <= text.count("--hash=sha256:")


def test_the_wheel_holds_every_file_that_is_no_program() -> None:
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = packaged["tool"]["setuptools"]["package-data"]
    files = subprocess.run(
        ["git", "ls-files", "alerts", "model", "stream"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "model/weights/model.onnx" in files
    for file in files:
        package, _, name = file.partition("/")
        if not name.endswith(".py"):
            globs = [pattern.replace("**/*", "*") for pattern in patterns[package]]
            assert any(fnmatch.fnmatch(name, pattern) for pattern in globs), file


def test_the_ports_of_the_image_are_the_defaults() -> None:
    exposed = next(words for name, words in STEPS if name == "EXPOSE").split()
    http = HttpSettings()
    ports = {http.desk_port, http.worker_port, http.recorder_port, http.feed_port}
    assert {int(port) for port in exposed} == ports


def healthcheck() -> Any:
    spec = importlib.util.spec_from_file_location("healthcheck", DEPLOY / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["worker_port", "recorder_port", "desk_port"])
def test_the_health_check_finds_whichever_process_there_is(name: str) -> None:
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), dict)
    ports = dict.fromkeys(("worker_port", "recorder_port", "desk_port"), "1")
    ports[name] = str(server.port)
    variables = {f"BAROGRAPH_HTTP__{key.upper()}": value for key, value in ports.items()}
    try:
        with only(variables):
            assert healthcheck().main() == 0
    finally:
        server.stop()
    with only(variables):
        assert healthcheck().main() == 1


def test_the_health_check_fails_where_the_process_does() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    ports = {"WORKER": server.server_port, "RECORDER": 1, "DESK": 1}
    try:
        with only({f"BAROGRAPH_HTTP__{name}_PORT": str(port) for name, port in ports.items()}):
            assert healthcheck().main() == 1
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_compose_runs_what_the_issue_asks_for() -> None:
    wanted = {"kafka", "postgres", "worker", "recorder", "desk"}
    assert wanted | {"prometheus", "alertmanager", "grafana"} <= set(SERVICES)
    assert SERVICES["worker-gpu"]["profiles"] == ["gpu"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_a_command_that_is_one(name: str) -> None:
    check_command(OURS[name]["command"])


def test_a_renamed_command_or_option_is_found() -> None:
    for words in (["recorders"], ["tokens", "make"], ["worker", "--threads", "2"], ["tokens"]):
        with pytest.raises(WrongCommand):
            check_command(words)
    with pytest.raises(WrongCommand):
        check_command(["tokens", "create", "admin", "--role", "king"])


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_built_here_and_take_settings_that_are_some(name: str) -> None:
    service = OURS[name]
    build = service["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    assert build["target"] in TARGETS
    given = environment(service)
    assert unknown(list(given)) == []
    settings = settings_of(given)
    assert settings.kafka.bootstrap == "kafka:29092"
    assert settings.http == HttpSettings(host="0.0.0.0")
    assert settings.delivery.relay_token is not None
    assert settings.database_url.endswith("@postgres/barograph")


def test_unknown_variables_are_found() -> None:
    wrong = ["BAROGRAPH_KAFKA__BOOTSTRAPS", "BAROGRAPH_KAFKAS__BOOTSTRAP", "BAROGRAPH_HTTP_HOST"]
    assert unknown([*wrong, "BAROGRAPH_HTTP__HOST", CONFIG, "PATH"]) == wrong


def test_the_gpu_worker_runs_torch_on_what_ships_or_a_run_of_ones_own() -> None:
    service = SERVICES["worker-gpu"]
    settings = settings_of(environment(service))
    assert settings.worker.backend == "torch"
    (mount,) = (v for v in service["volumes"] if v.split(":")[-2] == str(settings.model))
    default = re.match(r"\$\{MODEL_RUN:-([^}]+)\}:", mount)
    assert default is not None
    assert (DEPLOY / default[1]).samefile(WEIGHTS)


def test_the_settings_that_are_mounted_are_right(tmp_path: Path) -> None:
    folder = DEPLOY / "config"
    for name, service in OURS.items():
        path = Path(environment(service)[CONFIG])
        assert f"./config:{path.parent}:ro" in service["volumes"], name
    with only({}):
        settings = load(folder / "settings.yaml")
    assert settings.watchlist is not None
    mounted = settings.watchlist.relative_to("/etc/barograph")
    assert watchlist.load(folder / mounted).topics == ("watch:market",)


def test_no_secret_has_a_default() -> None:
    text = re.sub(r"\$\{(\w+):\?[^}]*\}", "", COMPOSE_TEXT)
    for name in SECRETS:
        assert f"${{{name}" not in text, f"{name} may be left out"
    # Nothing that looks like one is written out.
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET|_KEY", key):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)), key


def test_the_guide_makes_every_secret_and_names_every_other_variable() -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    made = re.search(r"^for name in (.*); do$", guide, re.MULTILINE)
    assert made is not None
    assert set(made[1].split()) == set(SECRETS)
    for name in set(re.findall(r"\$\{(\w+):-", COMPOSE_TEXT)):
        assert f"`{name}" in guide, name
    for line in re.findall(r"docker compose run --rm first-token (.+?)[`\n]", guide):
        check_command(line.split())


def test_images_of_a_release_are_pinned_by_digest() -> None:
    for name, service in SERVICES.items():
        if name in OURS:
            continue
        image, _, digest = service["image"].partition("@")
        released = re.search(r":v?\d+\.\d+\.\d+$", image)
        assert bool(released) == bool(re.fullmatch("sha256:[0-9a-f]{64}", digest)), image


def test_compose_without_secrets_does_not_start() -> None:
    with pytest.raises(KeyError):
        interpolated(str(OURS["desk"]["environment"]["BAROGRAPH_DATABASE_URL"]), {})


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = interpolated(volume, {}).split(":")[0]
        if not source.startswith("."):
            assert source in COMPOSE["volumes"]
        elif source != "./model-run":  # made by a training, which the comment says
            assert (DEPLOY / source).exists(), source
    for secret in SERVICES[name].get("secrets", []):
        assert COMPOSE["secrets"][secret]["environment"] in SECRETS


@pytest.mark.parametrize("name", SERVICES)
def test_services_wait_for_services_that_tell_when(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


def test_ports_are_published_on_this_machine_alone_and_are_those_that_are_listened_on() -> None:
    listening = {
        "desk": HttpSettings().desk_port,
        "kafka": 9092,
        "prometheus": 9090,
        "grafana": 3000,
    }
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {name: [f"127.0.0.1:{p}:{p}"] for name, p in listening.items()}


def test_kafka_is_set_up_as_the_one_without_containers() -> None:
    lines = (DEPLOY / "kafka" / "server.properties").read_text().splitlines()
    alone = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    given = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    addresses = {
        "controller.quorum.bootstrap.servers",
        *("listeners", "advertised.listeners", "listener.security.protocol.map", "log.dirs"),
    }
    assert set(given) - set(alone) == {"inter.broker.listener.name", "controller.quorum.voters"}
    assert {k: v.split(",") for k, v in given.items() if k in alone.keys() - addresses} == {
        k: v.split(",") for k, v in alone.items() if k not in addresses
    }
    bootstrap = settings_of(environment(SERVICES["worker"])).kafka.bootstrap
    assert f"INTERNAL://{bootstrap}" in given["advertised.listeners"].split(",")


def test_prometheus_there_is_the_one_here_with_other_addresses() -> None:
    check(PROMETHEUS, "promtool", "prometheus", "check", "config", "compose.yml")
    there = yaml.safe_load((PROMETHEUS / "compose.yml").read_text())
    here = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in there["scrape_configs"]}
    # Feeds are no part of every installation, and what is named without running is down.
    assert set(jobs) == {*(job["job_name"] for job in here["scrape_configs"]), "barograph-feed"}
    assert {**there, "scrape_configs": 0, "alerting": 0} == {
        **here,
        "scrape_configs": 0,
        "alerting": 0,
    }
    http = HttpSettings()
    for job, port in (("worker", http.worker_port), ("feed", http.feed_port)):
        found = jobs[f"barograph-{job}"]["dns_sd_configs"][0]
        assert set(found["names"]) <= set(SERVICES)
        assert found["port"] == port
    for job, port in (("recorder", http.recorder_port), ("desk", http.desk_port)):
        assert jobs[f"barograph-{job}"]["static_configs"] == [{"targets": [f"{job}:{port}"]}]


def test_alertmanager_there_is_the_one_here_with_other_addresses() -> None:
    check(ALERTMANAGER, "amtool", "prometheus-alertmanager", "check-config", "compose.yml")
    there = yaml.safe_load((ALERTMANAGER / "compose.yml").read_text())
    here = yaml.safe_load((ALERTMANAGER / "alertmanager.yml").read_text())
    hook = there["receivers"][0]["webhook_configs"][0]
    secret = hook.pop("http_config")["authorization"]["credentials_file"]
    assert Path(secret).name in SERVICES["alertmanager"]["secrets"]
    hook["url"] = hook["url"].replace("//desk:", "//127.0.0.1:")
    assert there == here


def test_the_other_services_are_told_of_files_that_are_mounted() -> None:
    for name in ("prometheus", "alertmanager"):
        mounted = {volume.split(":")[1] for volume in SERVICES[name]["volumes"]}
        for option in SERVICES[name]["command"]:
            if option.startswith("--config.file="):
                assert shlex.split(option)[0].partition("=")[2] in mounted
    grafana = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/barograph.yml").read_text())
    mounted = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    assert grafana["providers"][0]["options"]["path"] in mounted
    source = (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    assert set(re.findall(r"\$\{?([A-Z]+_[A-Z_]+)", source)) <= set(
        SERVICES["grafana"]["environment"]
    )

"""Names that a file under deploy/ or docs/ shares with the program or with another file.

The tests beside this one look at what each kind of file says; these, at what holds several of them
together, so that a name which is changed in one place alone is found.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.testclient import TestClient

from alerts.desk import create_app
from alerts.settings import DeliverySettings
from alerts.store import open_engine
from stream.feeds.listing import usable_feeds
from stream.settings import HttpSettings, KafkaSettings
from tests.deploy.boards import queries
from tests.deploy.environment import settings_of
from tests.deploy.series import GIVEN_BY_PROMETHEUS, exported, grouped, series
from tests.deploy.test_container import DOCKERFILE, SERVICES, STEPS, environment
from tests.deploy.test_helm import CHART
from tests.deploy.test_systemd import SERVICES as UNITS
from tests.deploy.test_systemd import values as unit_values
from tests.servers import ROOT

DEPLOY = ROOT / "deploy"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
TEMPLATES = {path.name: path.read_text() for path in (CHART / "templates").iterdir()}
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
RULE_LIST = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTMANAGER = yaml.safe_load((DEPLOY / "alertmanager" / "alertmanager.yml").read_text())


# --- series and alerts -------------------------------------------------------------------------


def expressions() -> Iterator[Any]:
    for rule in RULE_LIST:
        name = rule.get("alert") or rule["record"]
        yield pytest.param(rule["expr"], id=f"rule {name}")
        for text in rule.get("annotations", {}).values():
            # Queries in templates are format strings with escaped quotes.
            yield pytest.param(text.replace('\\"', '"').replace("%q", '""'), id=f"text of {name}")
    for query in queries():
        yield pytest.param(re.sub(r"\$\{?\w+\}?", "x", query.expression), id=str(query))


@pytest.mark.parametrize("expression", list(expressions()))
def test_series_and_labels_are_exported(expression: str) -> None:
    known = exported()
    labels: set[str] = set()
    for name, asked in series(expression):
        if name in {"barograph_documents"}:
            continue  # part of the name of a recorded series
        assert name in known, f"no process exports {name}"
        assert asked <= known[name] | GIVEN_BY_PROMETHEUS, name
        labels |= known[name]
    if labels:
        assert grouped(expression) <= labels | GIVEN_BY_PROMETHEUS


def test_alertmanager_speaks_of_alerts_and_jobs_that_there_are() -> None:
    alerts = {rule["alert"] for rule in RULE_LIST if "alert" in rule}
    text = yaml.safe_dump(ALERTMANAGER)
    named = set(re.findall(r"alertname = (\w+)", text))
    assert named
    assert named <= alerts
    assert set(re.findall(r"job = ([\w-]+)", text)) <= jobs()
    scopes = set(re.findall(r"scope = (\w+)", text))
    assert all(re.search(rf"\b{scope}\b", str(RULE_LIST)) for scope in scopes)


def jobs() -> set[str]:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    return {job["job_name"] for job in config["scrape_configs"]}


def test_prometheus_asks_at_the_ports_of_the_settings() -> None:
    http = HttpSettings()
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    for name in ("worker", "recorder", "desk", "feed"):
        # The feeds' lines are commented out, and must be right when they are not.
        found = re.search(rf"job_name: barograph-{name}\n.*?127\.0\.0\.1:(\d+)", text, re.DOTALL)
        assert found is not None, name
        assert int(found[1]) == getattr(http, f"{name}_port"), name


def test_alertmanager_posts_where_the_desk_listens(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/desk.db")
    desk = TestClient(create_app(engine, DeliverySettings(), lambda: True))
    for name in ("alertmanager.yml", "compose.yml"):
        config = yaml.safe_load((DEPLOY / "alertmanager" / name).read_text())
        (hook,) = (
            hook["url"] for each in config["receivers"] for hook in each.get("webhook_configs", ())
        )
        assert urlsplit(hook).port == HttpSettings().desk_port
        there = urlsplit(hook).path
        assert desk.post(there, content=b"").status_code not in (404, 405)
        assert desk.post(f"{there}-none", content=b"").status_code == 404
    engine.dispose()


# --- containers --------------------------------------------------------------------------------


def test_what_a_step_of_the_image_reads_an_earlier_one_has_put_there() -> None:
    put = {"/tmp/" + Path(source).name for source in copied("/tmp/")}
    for name, words in STEPS:
        if name == "RUN":
            assert set(re.findall(r"/tmp/\w+\.txt", words)) <= put
    health = next(words for name, words in STEPS if name == "HEALTHCHECK")
    (script,) = re.findall(r'"(/[^"]+\.py)"', health)
    assert f"deploy/{Path(script).name} {script}" in DOCKERFILE
    (made,) = set(re.findall(r"python -m venv (\S+)", DOCKERFILE))
    assert set(re.findall(r"PATH=(\S+)/bin:", DOCKERFILE)) == {made}
    for source, target in re.findall(r"COPY --from=install-\w+ (\S+) (\S+)", DOCKERFILE):
        assert source == target == made
    wheels = set(re.findall(r"(/wheels|/tmp/wheels)\b", DOCKERFILE))
    assert wheels == {"/wheels", "/tmp/wheels"}


def copied(into: str) -> list[str]:
    return [
        source
        for name, words in STEPS
        if name == "COPY" and words.split()[-1] == into
        for source in words.split()[:-1]
    ]


def test_the_home_of_the_image_is_where_state_is_kept() -> None:
    (home,) = set(re.findall(r"--home-dir (\S+)", DOCKERFILE))
    assert [words for name, words in STEPS if name == "WORKDIR"][-1] == home
    for where, command, mounts in feeds_commands():
        state = Path(command[command.index("--state") + 1])
        assert str(state.parent) == home, where
        assert home in mounts, where


def feeds_commands() -> Iterator[tuple[str, list[str], set[str]]]:
    """How feeds are run: where, the command, and the folders that stay."""
    volumes = {volume.split(":")[1] for volume in SERVICES["feed"]["volumes"]}
    yield "compose", SERVICES["feed"]["command"], volumes
    unit = next(unit for unit in UNITS if unit.stem == "barograph-feed")
    (line,) = unit_values(unit, "ExecStart")
    (folder,) = unit_values(unit, "StateDirectory")
    yield "systemd", shlex.split(line)[1:], {f"/var/lib/{folder}"}


def test_the_feeds_file_that_is_mounted_is_one() -> None:
    assert usable_feeds(DEPLOY / "config" / "feeds.yaml")
    for where, command, _ in feeds_commands():
        path = Path(command[2])
        assert (DEPLOY / "config" / path.name).is_file(), where
        assert path.parent == Path("/etc/barograph"), where


def test_addresses_between_containers_are_those_of_services() -> None:
    given = environment(SERVICES["worker"])
    settings = settings_of(given)
    database = urlsplit(settings.database_url)
    postgres = environment(SERVICES["postgres"])
    assert database.hostname == "postgres"
    assert database.username == postgres["POSTGRES_USER"]
    assert database.path == f"/{postgres['POSTGRES_DB']}"
    assert SERVICES["postgres"]["healthcheck"]["test"][-1] == postgres["POSTGRES_USER"]
    hosts = {
        urlsplit(str(settings.delivery.alertmanager_url)).hostname,
        urlsplit(environment(SERVICES["grafana"])["PROMETHEUS_URL"]).hostname,
        settings.kafka.bootstrap.split(":")[0],
        SERVICES["kafka"]["healthcheck"]["test"][-1].split(":")[0],
    }
    prometheus = yaml.safe_load((DEPLOY / "prometheus" / "compose.yml").read_text())
    for manager in prometheus["alerting"]["alertmanagers"]:
        for target in manager["static_configs"][0]["targets"]:
            hosts.add(target.split(":")[0])
    assert hosts <= SERVICES.keys()
    assert SERVICES["kafka"]["healthcheck"]["test"][-1] == settings.kafka.bootstrap
    dashboard = urlsplit(settings.delivery.dashboard_url)
    assert f"{dashboard.hostname}:{dashboard.port}:{dashboard.port}" in SERVICES["desk"]["ports"]


def test_volumes_are_named_once_and_used() -> None:
    named = set(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["volumes"])
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    }
    assert named == {name for name in used if not name.startswith((".", "$"))}


def test_versions_agree_that_are_written_more_than_once() -> None:
    pom = (DEPLOY / "kafka" / "pom.xml").read_text()
    (kafka,) = re.findall(r"<kafka.version>(.*?)<", pom)
    assert SERVICES["kafka"]["image"].split("@")[0] == f"apache/kafka:{kafka}"
    project = (ROOT / "pyproject.toml").read_text()
    (python,) = re.findall(r'^requires-python = ">=(.*)"$', project, re.MULTILINE)
    assert f"PYTHON=python:{python}-slim" in DOCKERFILE
    assert f"--python-version {python}" in (ROOT / "Makefile").read_text()
    (grafana,) = re.findall(r"grafana-foundation-sdk==\d+!([\d.]+)", project)
    assert SERVICES["grafana"]["image"].split("@")[0] == f"grafana/grafana:{grafana}"
    (version,) = re.findall(r'^version = "(.*)"$', project, re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version


# --- Helm --------------------------------------------------------------------------------------


def test_templates_use_values_that_there_are() -> None:
    """Helm takes a name that is none for an empty value, in silence."""
    used = set()
    for text in TEMPLATES.values():
        for name in re.findall(r"(?:\.Values|\$values)((?:\.\w+)+)", text):
            used.add(name[1:])
        for name in re.findall(r"\$own((?:\.\w+)+)", text):
            used |= {f"{component}{name}" for component in ("worker", "recorder", "desk", "feed")}
        for local, path in re.findall(r"(\$\w+) := (?:\.|\$)Values((?:\.\w+)+)", text):
            names = re.findall(rf"{re.escape(local)}((?:\.\w+)+)", text)
            used |= {f"{path[1:]}{name}" for name in names}
    assert len(used) > 30
    for name in used:
        value: Any = VALUES
        for key in name.split("."):
            if name.endswith(".storage.existingClaim") and "storage" not in value:
                break  # of feeds alone
            assert key in value, f"values.yaml has no {name}"
            value = value[key]
            if value == {} or value == []:
                break


def test_values_are_used() -> None:
    everything_used = "\n".join(TEMPLATES.values())
    for key, value in VALUES.items():
        assert re.search(rf"[Vv]alues\.{key}\b|\"{key}\"", everything_used), key
        if isinstance(value, dict) and key not in ("settings", "watchlist"):
            for inner in value:
                assert re.search(rf"\.{inner}\b", everything_used), f"{key}.{inner}"


def test_the_guide_names_values_that_there_are() -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    cluster = guide.partition("## A cluster")[2]
    named = set(re.findall(r"--set ([\w.]+)=", cluster))
    for row in re.findall(r"^\| (`[^|]*`) \|", cluster, re.MULTILINE):
        named |= set(re.findall(r"`([\w.]+)`", row))
    assert len(named) > 10
    for name in named:
        value: Any = VALUES
        for key in name.split("."):
            assert key in value, name
            value = value[key]


def test_the_chart_comes_with_the_defaults_of_the_program() -> None:
    kafka = KafkaSettings()
    assert VALUES["kafka"]["appId"] == kafka.app_id
    assert VALUES["kafka"]["partitions"] == kafka.partitions
    (documents,) = re.findall(r'"documents" "([^"]+)"', TEMPLATES["autoscaling.yaml"])
    assert documents == kafka.topics.documents
    assert VALUES["dashboardUrl"] == DeliverySettings().dashboard_url


# --- systemd -----------------------------------------------------------------------------------


def test_the_units_and_the_guide_agree_on_every_path() -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    section = guide.partition("## One machine with systemd")[2].partition("\n## ")[0]
    (here,) = re.findall(r"make -C (\S+) install", section)
    for unit in [*UNITS, DEPLOY / "systemd" / "barograph.target"]:
        (documentation,) = unit_values(unit, "Documentation")
        page = documentation.removeprefix("file:").removeprefix(f"{here}/")
        assert (ROOT / page).is_file(), unit.name
        if unit.suffix == ".target":
            continue
        (line,) = unit_values(unit, "ExecStart")
        words = shlex.split(line)
        assert words[0] == f"{here}/.venv/bin/barograph"
        config = Path(words[words.index("--config") + 1])
        assert f"`{config}`" in section
        copied_there = re.findall(r"^cp (.*) (\S+)/$", section, re.MULTILINE)
        assert any(
            config.name in files and Path(folder) == config.parent for files, folder in copied_there
        )
        (secrets,) = unit_values(unit, "EnvironmentFile")
        assert f"> {secrets.lstrip('-')}" in section
        (user,) = unit_values(unit, "User")
        (group,) = unit_values(unit, "Group")
        (work,) = unit_values(unit, "WorkingDirectory")
        (state,) = unit_values(unit, "StateDirectory")
        assert user == group == state
        assert work == f"/var/lib/{state}"
        assert unit_values(unit, "PartOf") == ["barograph.target"]
    (home,) = re.findall(r'" (\S+)$', (DEPLOY / "systemd" / "barograph.conf").read_text(), re.M)
    assert home == work
    assert f"`{work}" in section


def test_the_guide_enables_units_that_there_are() -> None:
    guide = (ROOT / "docs" / "deploying.md").read_text()
    there = {path.name for path in (DEPLOY / "systemd").iterdir()}
    named = set(re.findall(r"\bbarograph(?:-[a-z]+(?:@\d+)?|\.target|\.conf)(?=[\s`.])", guide))
    units = {
        name
        for line in re.findall(r"systemctl enable --now (.*?)[`\n]", guide)
        for name in line.split()
    }
    assert units
    for name in units:
        plain = re.sub(r"@\d+", "@", name)
        assert plain in there or f"{plain}.service" in there, name
    assert "barograph.conf" in named
    for folder in re.findall(r"`(deploy/[\w/.-]+)`", guide):
        assert (ROOT / folder).exists(), folder

"""The chart, rendered by Helm: what comes out is what Kubernetes and the program take."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from stream import watchlist
from stream.feeds.listing import usable_feeds
from stream.settings import HttpSettings, load
from tests.alerts.test_rules import check
from tests.deploy.commands import check_command
from tests.deploy.environment import CONFIG, only, settings_of, unknown
from tests.servers import ROOT, ServerMissing

CHART = ROOT / "deploy" / "helm" / "barograph"
KUBERNETES = "1.34"
SECRET = {
    "BAROGRAPH_DATABASE_URL": "postgresql://barograph:test@sql/barograph",
    "BAROGRAPH_AUTHOR_KEY": "test",
    "BAROGRAPH_DELIVERY__RELAY_TOKEN": "test",
    "BAROGRAPH_DELIVERY__TARGETS": "[]",
}
ALL = (
    "autoscaling.enabled=true",
    "serviceMonitor.enabled=true",
    "serviceMonitor.labels.release=prometheus",
    "prometheusRule.enabled=true",
    "dashboards.enabled=true",
    "worker.gpu.enabled=true",
    "worker.gpu.modelClaim=model",
    "alertmanagerUrl=http://alertmanager:9093",
    "dashboardUrl=https://desk.example/",
    "desk.nodeSelector.disk=ssd",
    "networkPolicy.deskFrom[0].namespaceSelector.matchLabels.name=ingress",
    "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring",
    "imagePullSecrets[0].name=registry",
    "extraVolumes[0].name=ca",
    "extraVolumes[0].secret.secretName=kafka-ca",
    "extraVolumeMounts[0].name=ca",
    "extraVolumeMounts[0].mountPath=/etc/kafka",
    "autoscaling.triggerMetadata.tls=enable",
    "autoscaling.authenticationRef=kafka",
    "feeds[0].id=wire",
    "feeds[0].type=rss",
    "feeds[0].url=https://wire.example/markets.xml",
    "feed.storage.storageClass=fast",
)
OTHERS: dict[str, set[int]] = {"worker": set(), "feed": {80, 443}}
"""Ports that a component connects to besides Kafka and DNS, where they are not SQL and webhooks."""
COMPONENTS = {"worker": 9101, "recorder": 9102, "desk": 8080, "feed": 9103}


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = shutil.which("helm", path=str(ROOT / "build")) or shutil.which("helm")
    if found is None:
        raise ServerMissing("helm is missing: make test fetches it")
    return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)


def render(*values: str) -> subprocess.CompletedProcess[str]:
    options = [word for value in values for word in ("--set", value)]
    return helm("template", "demo", str(CHART), "--kube-version", f"{KUBERNETES}.0", *options)


def objects(*values: str) -> dict[tuple[str, str], Any]:
    """What the chart makes of values, by kind and name."""
    done = render("existingSecret=secrets", *values)
    assert done.returncode == 0, done.stderr
    made = [found for found in yaml.safe_load_all(done.stdout) if found]
    named = {(found["kind"], found["metadata"]["name"]): found for found in made}
    assert len(named) == len(made)
    return named


@pytest.fixture(scope="module")
def default() -> dict[tuple[str, str], Any]:
    return objects()


@pytest.fixture(scope="module")
def everything() -> dict[tuple[str, str], Any]:
    return objects(*ALL)


@pytest.fixture(scope="module", params=["default", "everything"])
def rendered(request: pytest.FixtureRequest) -> Any:
    """The chart with the values it comes with, and with all that can be switched on."""
    return request.getfixturevalue(request.param)


def pods(made: dict[tuple[str, str], Any]) -> Iterator[tuple[str, Any]]:
    """Component and pod specification of each workload."""
    for (kind, name), found in made.items():
        if kind in ("StatefulSet", "Deployment"):
            yield name.rpartition("-")[2], found["spec"]["template"]["spec"]


def components(made: dict[tuple[str, str], Any]) -> dict[str, int]:
    """The components that run, and their ports: the feed's where there are feeds."""
    feeds = "feeds.yaml" in made["ConfigMap", "demo-barograph"]["data"]
    return {name: port for name, port in COMPONENTS.items() if feeds or name != "feed"}


def kinds(made: dict[tuple[str, str], Any]) -> set[str]:
    return {kind for kind, _ in made}


def test_helm_finds_nothing_wrong() -> None:
    done = helm("lint", str(CHART), "--strict", "--set", "existingSecret=secrets")
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_takes_every_object(rendered: Any) -> None:
    for (kind, _), found in rendered.items():
        if found["apiVersion"].split("/")[0] in ("keda.sh", "monitoring.coreos.com"):
            continue  # of others; their forms are checked below
        kubernetes_validate.validate(found, KUBERNETES, strict=True)
        assert kind in {
            *("ConfigMap", "Deployment", "NetworkPolicy", "PersistentVolumeClaim"),
            *("PodDisruptionBudget", "Service", "StatefulSet"),
        }


def test_what_the_cluster_must_bring_is_asked_for_only_when_wanted(
    default: Any, everything: Any
) -> None:
    extra = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}
    assert not kinds(default) & extra
    assert extra <= kinds(everything)


def test_each_component_runs_a_command_that_is_one(rendered: Any) -> None:
    found = dict(pods(rendered))
    assert set(found) == set(components(rendered))
    for component, pod in found.items():
        (container,) = pod["containers"]
        assert "command" not in container  # the image's entry point is barograph
        assert check_command(container["args"]) == {"feed": "feed run"}.get(component, component)


def test_settings_are_some_and_say_what_the_values_say(rendered: Any) -> None:
    for _, pod in pods(rendered):
        (container,) = pod["containers"]
        given = {item["name"]: item["value"] for item in container["env"]}
        assert unknown(list(given)) == []
        assert container["envFrom"] == [{"secretRef": {"name": "secrets"}}]
        settings = settings_of({**SECRET, **given})
        assert settings.kafka.bootstrap == "kafka:9092"
        assert settings.http == HttpSettings(host="0.0.0.0")
        assert given[CONFIG] == "/etc/barograph/settings.yaml"


def test_the_mounted_settings_and_watchlist_are_right(rendered: Any, tmp_path: Path) -> None:
    files = rendered["ConfigMap", "demo-barograph"]["data"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert set(files) <= {"settings.yaml", "watchlist.yaml", "feeds.yaml"}
    with only({}):
        settings = load(tmp_path / "settings.yaml")
    assert settings.watchlist == Path("/etc/barograph/watchlist.yaml")
    assert watchlist.load(tmp_path / "watchlist.yaml").topics == ("watch:market",)


def test_the_secret_that_is_asked_for_is_described() -> None:
    assert unknown(list(SECRET)) == []
    told = (CHART / "values.yaml").read_text()
    assert all(name in told for name in SECRET)


def test_ports_are_the_defaults_and_services_and_policies_open_them(rendered: Any) -> None:
    http = HttpSettings()
    assert {name: getattr(http, f"{name}_port") for name in COMPONENTS} == COMPONENTS
    for component, pod in pods(rendered):
        (container,) = pod["containers"]
        port = COMPONENTS[component]
        assert container["ports"] == [{"name": "http", "containerPort": port}]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] == "http"
            assert asked["path"] == ("/readyz" if probe == "readinessProbe" else "/healthz")
        service = rendered["Service", f"demo-barograph-{component}"]["spec"]
        assert service["ports"] == [{"name": "http", "port": port, "targetPort": "http"}]
        policy = rendered["NetworkPolicy", f"demo-barograph-{component}"]["spec"]
        for rule in policy["ingress"]:
            assert rule["ports"] == [{"protocol": "TCP", "port": port}]
        reached = {rule["port"] for rule in policy["egress"][0]["ports"]}
        assert reached == {53, 9092} | OTHERS.get(component, {5432, 443, 9093})


def test_peers_are_let_in_as_the_values_say(default: Any, everything: Any) -> None:
    def peers(made: Any, component: str) -> list[Any]:
        rules = made["NetworkPolicy", f"demo-barograph-{component}"]["spec"]["ingress"]
        return [
            peer["namespaceSelector"]["matchLabels"]["name"]
            for rule in rules
            for peer in rule.get("from", [])
        ]

    assert [peers(default, name) for name in components(default)] == [[], [], []]
    assert peers(everything, "desk") == ["ingress", "monitoring"]
    for name in ("worker", "recorder", "feed"):
        assert peers(everything, name) == ["monitoring"]


def test_selectors_find_the_pods_and_nothing_else(rendered: Any) -> None:
    labels = {
        name.rpartition("-")[2]: found["spec"]["template"]["metadata"]["labels"]
        for (kind, name), found in rendered.items()
        if kind in ("StatefulSet", "Deployment")
    }
    for (kind, name), found in rendered.items():
        component = name.rpartition("-")[2]
        spec = found.get("spec", {})
        if kind == "Service":
            selector = spec["selector"]
        elif kind == "NetworkPolicy":
            selector = spec["podSelector"]["matchLabels"]
        elif kind in ("PodDisruptionBudget", "StatefulSet", "Deployment"):
            selector = spec["selector"]["matchLabels"]
        else:
            continue
        matched = [other for other, has in labels.items() if selector.items() <= has.items()]
        assert matched == [component], (kind, name)


def test_pods_are_shut_in(rendered: Any) -> None:
    for _, pod in pods(rendered):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001  # as in the Dockerfile
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_without_feeds_there_is_nothing_of_them(default: Any) -> None:
    assert not [key for key in default if key[1].endswith("-feed")]
    assert "feeds.yaml" not in default["ConfigMap", "demo-barograph"]["data"]


def test_feeds_are_read_by_one_pod_that_keeps_its_state(everything: Any, tmp_path: Path) -> None:
    spec = everything["Deployment", "demo-barograph-feed"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    _, _, listing, option, state = container["args"]
    assert option == "--state"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    claim = volumes[mounts[str(Path(state).parent)]]["persistentVolumeClaim"]["claimName"]
    kept = everything["PersistentVolumeClaim", claim]
    assert kept["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert kept["spec"]["storageClassName"] == "fast"
    # What is mounted is a feeds file.
    assert mounts[str(Path(listing).parent)] == "config"
    files = everything["ConfigMap", "demo-barograph"]["data"]
    (tmp_path / "feeds.yaml").write_text(files[Path(listing).name])
    (feed,) = usable_feeds(tmp_path / "feeds.yaml")
    assert feed.id == "wire"


def test_changed_feeds_restart_their_pod_and_no_other(everything: Any) -> None:
    changed = objects(*ALL, "feeds[0].interval=1m")
    restarted = {
        name
        for (kind, name), found in changed.items()
        if kind in ("Deployment", "StatefulSet")
        and found["spec"]["template"] != everything[kind, name]["spec"]["template"]
    }
    assert restarted == {"demo-barograph-feed"}


def test_a_claim_that_is_there_is_used() -> None:
    made = objects(*ALL, "feed.storage.existingClaim=mine")
    assert "PersistentVolumeClaim" not in kinds(made)
    pod = made["Deployment", "demo-barograph-feed"]["spec"]["template"]["spec"]
    claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
    assert {"claimName": "mine"} in claims


def test_keda_adds_workers_up_to_the_number_of_partitions() -> None:
    made = objects("autoscaling.enabled=true", "kafka.partitions=12", "kafka.appId=mine")
    spec = made["ScaledObject", "demo-barograph-worker"]["spec"]
    scaled = made[spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]]
    assert "replicas" not in scaled["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (1, 12)
    (trigger,) = spec["triggers"]
    given = {
        item["name"]: item["value"] for _, pod in pods(made) for item in pod["containers"][0]["env"]
    }
    settings = settings_of(given)
    assert trigger["type"] == "kafka"
    assert trigger["metadata"]["consumerGroup"] == settings.kafka.app_id == "mine"
    assert trigger["metadata"]["topic"] == settings.kafka.topics.documents
    assert trigger["metadata"]["bootstrapServers"] == settings.kafka.bootstrap
    assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_keda_signs_in_where_kafka_wants_it(everything: Any) -> None:
    (trigger,) = everything["ScaledObject", "demo-barograph-worker"]["spec"]["triggers"]
    assert trigger["metadata"]["tls"] == "enable"
    assert trigger["authenticationRef"] == {"name": "kafka"}


def test_keda_follows_a_topic_of_another_name() -> None:
    made = objects("autoscaling.enabled=true", "settings.kafka.topics.documents=news")
    (trigger,) = made["ScaledObject", "demo-barograph-worker"]["spec"]["triggers"]
    assert trigger["metadata"]["topic"] == "news"


def test_a_gpu_is_asked_for_with_the_image_and_model_it_needs(
    default: Any, everything: Any
) -> None:
    plain, gpu = dict(pods(default))["worker"], dict(pods(everything))["worker"]
    assert plain["containers"][0]["image"] == "barograph:0.1.0"
    assert gpu["containers"][0]["image"] == "barograph:0.1.0-gpu"
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    given = {item["name"]: item["value"] for item in gpu["containers"][0]["env"]}
    settings = settings_of(given)
    assert settings.worker.backend == "torch"
    mounts = {mount["mountPath"]: mount["name"] for mount in gpu["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in gpu["volumes"]}
    claim = volumes[mounts[str(settings.model)]]["persistentVolumeClaim"]
    assert claim == {"claimName": "model", "readOnly": True}


def test_a_gpu_runs_the_model_that_ships_where_no_other_is_named() -> None:
    gpu = dict(pods(objects("worker.gpu.enabled=true")))["worker"]
    given = {item["name"]: item["value"] for item in gpu["containers"][0]["env"]}
    assert settings_of(given).worker.backend == "torch"
    assert "BAROGRAPH_MODEL" not in given
    assert {volume["name"] for volume in gpu["volumes"]} == {"config", "tmp"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((), "existingSecret is needed"),
        (("existingSecret=s", "worker.replicas=5"), "more than kafka.partitions"),
    ],
)
def test_values_that_cannot_work_are_refused(values: tuple[str, ...], said: str) -> None:
    done = render(*values)
    assert done.returncode != 0
    assert said in done.stderr


def test_the_rules_are_those_of_prometheus_with_the_address_of_the_desk(
    everything: Any, tmp_path: Path
) -> None:
    text = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()
    spec = everything["PrometheusRule", "demo-barograph"]["spec"]
    moved = text.replace("http://127.0.0.1:8080", "https://desk.example")
    assert spec == yaml.safe_load(moved)
    assert "https://desk.example/topics/" in yaml.safe_dump(spec)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(spec))
    check(tmp_path, "promtool", "prometheus", "check", "rules", "rules.yml")


def test_jobs_have_the_names_that_rules_and_dashboards_know(everything: Any) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    known = {job["job_name"] for job in config["scrape_configs"]}
    named = set()
    for (kind, name), found in everything.items():
        if kind != "ServiceMonitor":
            continue
        service = everything["Service", name]
        selector = found["spec"]["selector"]["matchLabels"]
        assert selector.items() <= service["metadata"]["labels"].items()
        assert found["metadata"]["labels"]["release"] == "prometheus"
        (endpoint,) = found["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        (rule,) = endpoint["relabelings"]
        named.add(rule["replacement"])
        assert rule["targetLabel"] == "job"
    # Feeds are no part of every installation: the job is commented out in prometheus.yml.
    assert named == {*known, "barograph-feed"}


def test_the_dashboards_are_those_of_grafana(everything: Any) -> None:
    for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"):
        found = everything["ConfigMap", f"demo-barograph-{path.stem}"]
        assert found["data"][path.name] == path.read_text(encoding="utf-8")
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_the_notes_name_a_command_that_is_one() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    (command,) = re.findall(r"-- barograph (.+)$", notes, re.MULTILINE)
    assert check_command(command.split()) == "tokens create"

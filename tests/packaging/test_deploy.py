"""What lies in deploy/ and .github/ is well formed, as far as can be told without running it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent


def check(*command: str | Path) -> None:
    """Run a tool of this environment."""
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_follow_their_schema() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)


def test_workflows_are_safe() -> None:
    check("zizmor", "--offline", "--no-progress", ROOT / ".github" / "workflows")


def test_what_a_commit_must_pass_is_well_formed() -> None:
    check("pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml")


def test_actions_are_pinned() -> None:
    for workflow in (ROOT / ".github" / "workflows").glob("*.yml"):
        for line in workflow.read_text().splitlines():
            if "uses:" in line:
                version = line.split("@", 1)[1].split()[0]
                assert len(version) == 40, line
                assert int(version, 16), line


def test_the_compose_file_follows_its_schema() -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "docker" / "compose.yml")


def test_the_dockerfile_has_no_findings() -> None:
    check("hadolint", DEPLOY / "docker" / "Dockerfile")


def test_kubernetes_manifests_follow_their_schemas() -> None:
    manifests = sorted((DEPLOY / "kubernetes").glob("*.yml"))
    assert manifests
    check("kubernetes-validate", "--strict", *manifests)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd" / "ttp-worker@.service").read_text()
    assert "/opt/ttp/bin/ttp" in unit
    there = tmp_path / "ttp-worker@.service"
    there.write_text(unit.replace("/opt/ttp/bin/ttp", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", there], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "ttp-worker" in line]
    assert not said, said

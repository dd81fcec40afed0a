"""Build the wheel and the sdist, check their contents, and run the wheel in an Airflow without other extras.

``make dist`` runs it. It prints each check and ends with an error at the first check that fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Mapping
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "airflow_provider_hfspaces"
PROJECT = "airflow-provider-hfspaces"
DIST = ROOT / "dist"
CONSTRAINTS = ROOT / "constraints.txt"
EXAMPLE = "first_space"
RUNTIME = {"apache-airflow", "httpx", "requests", "tenacity"}
IN_SDIST = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "PKG-INFO",
    "README.md",
    "constraints.txt",
    "docs/index.md",
    f"example_dags/{EXAMPLE}.py",
    "pyproject.toml",
    "scripts/check_dist.py",
    "tests/conftest.py",
)
NEVER = re.compile(r"(^|/)(__pycache__|\.venv|\.airflow|_build|\.git|node_modules)(/|$)|\.(pyc|db|log)$")


def main() -> int:
    """Build and check. Returns 0 if every check passes."""
    version = source_version()
    wheel, sdist = build(version)
    step("Contents")
    check_wheel_contents(wheel)
    check_sdist_contents(sdist, version)
    step("Metadata")
    check_metadata(wheel, version)
    with tempfile.TemporaryDirectory(prefix="dist-") as folder:
        try_it(wheel, sdist, version, Path(folder))
    print(f"\n{wheel.relative_to(ROOT)} and {sdist.relative_to(ROOT)} are good.")
    return 0


def source_version() -> str:
    """The version in the source of the package."""
    versions = re.findall(
        r'^__version__ = "([^"]+)"$', (ROOT / PACKAGE / "__init__.py").read_text("utf-8"), re.MULTILINE
    )
    if len(versions) != 1:
        fail(f"{PACKAGE}/__init__.py has {len(versions)} definitions of __version__ instead of one.")
    return str(versions[0])


def build(version: str) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from the sdist, which proves that the sdist is complete."""
    step("Build")
    shutil.rmtree(DIST, ignore_errors=True)
    run(
        [sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT)],
        {"PIP_CONSTRAINT": str(CONSTRAINTS)},
    )
    wheel, sdist = DIST / f"{PACKAGE}-{version}-py3-none-any.whl", DIST / f"{PACKAGE}-{version}.tar.gz"
    if sorted(DIST.iterdir()) != sorted([wheel, sdist]):
        fail(f"dist holds {sorted(path.name for path in DIST.iterdir())}.")
    run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)])
    good(f"{wheel.name}, {sdist.name}; twine accepts both")
    return wheel, sdist


def check_wheel_contents(wheel: Path) -> None:
    """Check that the wheel has all files of the package and no others."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and not NEVER.search(path.relative_to(ROOT).as_posix())
    }
    info = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    compare("the wheel", names - info, wanted)
    for name in (
        f"{PACKAGE}/py.typed",
        f"{PACKAGE}/reports/templates/cost_page.html",
        f"{PACKAGE}/emulator/templates/start.html",
    ):
        if name not in names:
            fail(f"The wheel has no {name}.")
    if not any(name.endswith("/licenses/LICENSE") for name in info):
        fail("The wheel has no licence.")
    data = sorted(name for name in wanted if not name.endswith(".py"))
    good(f"wheel: the {len(wanted)} files of the package and no others; besides code: {', '.join(data)}")


def check_sdist_contents(sdist: Path, version: str) -> None:
    """Check that the sdist has the files to build and test from, and no generated files."""
    with tarfile.open(sdist) as archive:
        prefix = f"{PACKAGE}-{version}/"
        names = {name.removeprefix(prefix) for name in archive.getnames()}
    missing = [name for name in IN_SDIST if name not in names]
    if missing:
        fail(f"The sdist has no {', '.join(missing)}.")
    wrong = [name for name in names if NEVER.search(name) or name.startswith("docs/reference/")]
    if wrong:
        fail(f"The sdist holds {', '.join(sorted(wrong)[:5])}.")
    good(f"sdist: {len(names)} files, with tests, documentation and example DAGs, and no generated files")


def check_metadata(wheel: Path, version: str) -> None:
    """Check name, version, Python versions, dependencies, links and entry points."""
    archive = zipfile.ZipFile(wheel)
    info = f"{PACKAGE}-{version}.dist-info"
    metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    expect("name", metadata["Name"], PROJECT)
    expect("version", metadata["Version"], version)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    expect("newest version in CHANGELOG.md", newest and newest[1], version)
    check_pythons(metadata)
    required = metadata.get_all("Requires-Dist") or []
    names = {re.split(r"[^\w.-]", each)[0] for each in required if "extra ==" not in each}
    expect("dependencies", names, RUNTIME)
    check_links(metadata)
    points = archive.read(f"{info}/entry_points.txt").decode()
    if f"provider_info = {PACKAGE}:get_provider_info" not in points:
        fail("The entry point provider_info is missing, so Airflow would not find the provider.")
    good(f"{PROJECT} {version}, as CHANGELOG.md says; needs {', '.join(sorted(names))}")


def check_links(metadata: Message) -> None:
    """Check the project URLs, and that the links of the README work outside the repository."""
    addresses = {each.partition(",")[0] for each in metadata.get_all("Project-URL") or []}
    expect("addresses", addresses, {"Changelog", "Documentation", "Issues", "Source"})
    relative = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", str(metadata.get_payload()))
        if "://" not in target
    ]
    if relative:
        fail(f"The package's README has links that work only in the repository: {', '.join(relative)}.")


def check_pythons(metadata: Message) -> None:
    """Check that ``requires-python`` and the classifiers agree."""
    bounds = re.fullmatch(r"(?=.*>=3\.(\d+))(?=.*<3\.(\d+)).*", metadata["Requires-Python"])
    if not bounds:
        fail(f"requires-python is {metadata['Requires-Python']}.")
    classifiers = metadata.get_all("Classifier") or []
    named = sorted(
        int(match[1])
        for each in classifiers
        if (match := re.fullmatch(r"Programming Language :: Python :: 3\.(\d+)", each))
    )
    expect("Python versions in the classifiers", named, list(range(int(bounds[1]), int(bounds[2]))))
    if "Framework :: Apache Airflow :: Provider" not in classifiers:
        fail("The classifier for Airflow providers is missing.")
    good(f"Python 3.{named[0]} to 3.{named[-1]}, in requires-python and classifiers")


def try_it(wheel: Path, sdist: Path, version: str, folder: Path) -> None:
    """Install the wheel into an environment with Airflow only, and run an example DAG there."""
    step("Install the wheel into a bare Airflow")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip"]
    run([*pip, "install", "--quiet", "--constraint", str(CONSTRAINTS), "apache-airflow"], cwd=folder)
    before = installed(python, folder)
    run([*pip, "install", "--quiet", "--constraint", str(CONSTRAINTS), str(wheel)], cwd=folder)
    run([*pip, "check"], cwd=folder)
    added = sorted(set(installed(python, folder)) - set(before) - {PROJECT})
    good(f"Airflow {before['apache-airflow']}; the wheel added {', '.join(added) or 'no other packages'}")

    dags = folder / "dags"
    dags.mkdir()
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(f"{PACKAGE}-{version}/example_dags/{EXAMPLE}.py")
        assert member is not None
        (dags / f"{EXAMPLE}.py").write_bytes(member.read())
    home = {
        "AIRFLOW_HOME": str(folder / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
    }
    airflow = [str(folder / "venv" / "bin" / "airflow")]
    run([*airflow, "db", "migrate"], home, cwd=folder)

    step("What Airflow sees")
    for name in ("airflow_commands.py", "check_provider_info.py", "run_example.py"):
        shutil.copy(ROOT / "scripts" / "dist" / name, folder)
    info = json.loads(run([str(python), "check_provider_info.py"], home, cwd=folder).splitlines()[-1])
    good(
        "provider info is valid in Airflow's provider_info.schema.json, and every name in it can be imported"
    )
    check_commands(python, home, folder, info, version)

    step("Run an example DAG, outside of the checkout")
    output = run([str(python), "run_example.py", EXAMPLE], home, cwd=folder)
    good(output.strip().splitlines()[-1])


def check_commands(
    python: Path, home: Mapping[str, str], folder: Path, info: Mapping[str, object], version: str
) -> None:
    """Check that ``airflow providers …`` shows the contents of the provider info."""
    text = json.dumps(info)
    wanted = {
        "list": [PROJECT, version],
        "get": [PROJECT, version],
        "hooks": ["hf_spaces", f"{PACKAGE}.hooks.hfspaces.HfSpacesHook"],
        "triggers": [f"{PACKAGE}.triggers.spaces"],
        "links": re.findall(rf"{PACKAGE}\.links\.\w+", text),
        "configs": ["hf_spaces"],
        "behaviours": ["hf_spaces"],
        "notifications": re.findall(rf"{PACKAGE}\.notifications\.[\w.]+", text),
    }
    commands = {command: words for command, words in wanted.items() if words}
    lines = [f"get {PROJECT}" if command == "get" else command for command in commands]
    shown = json.loads(run([str(python), "airflow_commands.py", *lines], home, cwd=folder).splitlines()[-1])
    for words, line in zip(commands.values(), lines, strict=True):
        missing = [word for word in words if word not in shown[line]]
        if missing:
            fail(f"`airflow providers {line}` does not show {', '.join(missing)}.")
    good(f"airflow providers {', '.join(commands)}")


def installed(python: Path, folder: Path) -> dict[str, str]:
    """The packages of an environment and their versions."""
    listed = json.loads(run([str(python), "-m", "pip", "list", "--format", "json"], cwd=folder))
    return {each["name"].lower(): each["version"] for each in listed}


def run(command: list[str], extra: Mapping[str, str] | None = None, *, cwd: Path = ROOT) -> str:
    """Run a command without environment variables of Airflow, Python or the Hub, and return its output."""
    kept = {name: value for name, value in os.environ.items() if not re.match(r"AIRFLOW|PYTHON|HF_", name)}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **(extra or {})},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        fail(f"{' '.join(command)} ended with {done.returncode}.")
    return done.stdout


def compare(what: str, actual: Iterable[str], wanted: Iterable[str]) -> None:
    """Fail unless two sets of files are equal."""
    missing, odd = sorted(set(wanted) - set(actual)), sorted(set(actual) - set(wanted))
    if missing or odd:
        fail(f"{what}: missing {missing[:5]}, unexpected {odd[:5]}.")


def expect(what: str, actual: object, wanted: object) -> None:
    """Fail unless two values are equal."""
    if actual != wanted:
        fail(f"{what}: {actual!r} instead of {wanted!r}.")


def step(title: str) -> None:
    """Print the title of the next checks."""
    print(f"\n{title}", flush=True)


def good(text: str) -> None:
    """Print a check that passed."""
    print(f"  ok  {text}", flush=True)


def fail(text: str) -> NoReturn:
    """Print a check that failed, and exit."""
    print(f"  NOT ok  {text}", file=sys.stderr, flush=True)
    sys.exit(1)


if __name__ == "__main__":
    sys.exit(main())

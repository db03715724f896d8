"""The wheel is the product and nothing else, and works where no checkout is near.

The environment it is installed into is empty but for the dependencies, which it borrows from this one.
"""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[3]
CHILD = Path(__file__).with_name("source_to_sink.py")
TEST_TOOLS = (b"import pytest", b"from hypothesis", b"import hypothesis", b"from tests", b"import tests")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = ("pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT))
    subprocess.run([sys.executable, "-m", *build], check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel. What a `.pth` file names is searched, but for `.pth` files of its own."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    purelib = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    (purelib / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    install = ("pip", "--python", str(folder / "bin" / "python"), "install", "-q", "--no-deps", str(wheel))
    subprocess.run([sys.executable, "-m", *install], check=True)
    return folder / "bin"


def run(environment: Path, folder: Path, *command: str) -> str:
    """What a command of the environment prints, run in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "EXCHANGE_"))}
    done = subprocess.run(
        [environment / command[0], *command[1:]],
        cwd=folder,
        env=clean | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_product_and_no_scaffolding(wheel: Path) -> None:
    with ZipFile(wheel) as content:
        names = content.namelist()
        modules = [name for name in names if name.endswith(".py")]
        testing = [name for name in modules if any(tool in content.read(name) for tool in TEST_TOOLS)]
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"exchange", "connectors"}
    assert testing == []
    assert {"exchange/_schemas/ids.lock", "exchange/embedded/kafka/kafka-jars.lock"} <= set(names)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("exchange", "--help"), "Everything at once"),
        (("exchange", "schemas", "check"), "schemas are valid and locked"),
        (("exchange", "catalogue", "check"), "resources"),
    ],
    ids=["help", "schemas check", "catalogue check"],
)
def test_commands_run_from_the_wheel(environment: Path, tmp_path: Path, command: tuple[str, ...], said: str) -> None:
    assert said in run(environment, tmp_path, *command)


def test_a_source_and_a_sink_run_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    said = run(environment, tmp_path, "python", str(CHILD)).split()
    assert said == [str(environment.parent), "1", "1"]

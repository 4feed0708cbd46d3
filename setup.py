"""What pyproject.toml cannot say: packages are those of requirements*.txt, and where files go."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def requirements(path: Path) -> list[str]:
    """Return the packages that a file names, without those of files that it includes."""
    lines = [line.partition(" #")[0].strip() for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


# `configs`, `launch.py` and the examples that messages name are installed inside the package: at
# the top level they would meet those of other projects. dla_jax/config/project.py finds them.
SHIPPED = {
    "dla_jax.shipped": ".",
    "dla_jax.shipped.configs": "configs",
    "dla_jax.shipped.configs.claims": "configs/claims",
    "dla_jax.shipped.docs.examples": "docs/examples",
}


class BuildShipped(build_py):
    """Take of this folder `launch.py` alone."""

    def find_package_modules(self, package, package_dir):
        found = super().find_package_modules(package, package_dir)
        return [each for each in found if package != "dla_jax.shipped" or each[1] == "launch"]


setup(
    cmdclass={"build_py": BuildShipped},
    packages=[*find_packages(include=["dla_jax", "dla_jax.*"]), *SHIPPED],
    package_dir=SHIPPED,
    install_requires=requirements(HERE / "requirements.txt"),
    extras_require={
        path.stem.removeprefix("requirements-"): requirements(path)
        for path in sorted(HERE.glob("requirements-*.txt"))
    },
)

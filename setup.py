"""What pyproject.toml cannot say: a wheel has the files of models_zoo/ in vmz/models_zoo/, where vmz.zoo looks."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithZoo(build_py):
    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):  # the clone has them
            return
        target = Path(self.build_lib, "vmz", "models_zoo")
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(__file__).resolve().parent.glob("models_zoo/*.json")):
            self.copy_file(str(file), str(target / file.name))


setup(cmdclass={"build_py": BuildWithZoo})

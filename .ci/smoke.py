"""Use the installed package from outside its source tree. `full`: torch is there; `light`: not."""

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import files, version
from importlib.util import find_spec
from pathlib import Path

full = sys.argv[1] == "full"
assert (find_spec("torch") is not None) == full

import vesalius  # noqa: E402 - the check above comes first

home = Path(vesalius.__file__).resolve().parent
assert home.is_relative_to(Path(sys.prefix).resolve()), f"{home} is not the installed package"
assert "torch" not in sys.modules, "import vesalius has loaded torch"
shipped = {str(path) for path in files("vesalius") or []}
for name in ("py.typed", "lab/data/paradise_lost.txt", "lab/data/SOURCES.md"):
    assert f"vesalius/{name}" in shipped, f"the wheel lacks {name}"

modules = 0
without_torch = []
for module in pkgutil.walk_packages(vesalius.__path__, "vesalius."):
    if module.name.endswith("__main__"):
        continue
    try:
        importlib.import_module(module.name)
        modules += 1
    except ModuleNotFoundError as error:
        if full or error.name != "torch":
            raise
        without_torch.append(module.name)

from vesalius.lab.corpus import default_text  # noqa: E402 - after the modules above

assert len(default_text().encode()) >= 300_000

shown = subprocess.run(["vesalius", "--help"], check=True, capture_output=True, text=True).stdout
assert "tour" in shown, shown

examples = sorted(Path("examples").glob("*.py")) if full else []
for example in examples:
    subprocess.run([sys.executable, example], check=True, stdout=subprocess.DEVNULL)

print(
    f"Python {'.'.join(map(str, sys.version_info[:3]))}: vesalius {version('vesalius')} works "
    + ("with torch" if full else "without torch")
    + f"; {modules} modules, {len(examples)} examples"
    + (f"; not importable without torch: {', '.join(without_torch)}" if without_torch else "")
)

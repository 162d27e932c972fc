from __future__ import annotations

import json
import sys

from tests.stream.states import written

tables = written()
sys.stdout.write("{")
for name, comma in (("panes", ","), ("states", "")):
    lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in tables[name].items())
    sys.stdout.write(f'\n"{name}": {{\n' + ",\n".join(lines) + f"\n}}{comma}")
sys.stdout.write("\n}\n")

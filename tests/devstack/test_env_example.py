"""`.env.example` names every setting, and no other, with its default."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from sync_service.settings import Settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_every_setting_is_in_the_example():
    listed = dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(listed) == set(fields) | {"DATABASE_ADMIN_URL"}
    for name, field in fields.items():
        if field.default not in (PydanticUndefined, None, "", ()) and listed[name]:
            assert listed[name] == str(field.default), name

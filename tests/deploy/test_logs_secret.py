"""The chart makes the same key for reading logs as the server knows."""

import re

from tools.installer_sources import DEPLOY

from trainshed.domain import keys
from trainshed.operator.smlogs import routes

TEMPLATE = (DEPLOY / "chart" / "templates" / "server-settings.yaml").read_text()


def test_the_key_in_the_secret_is_made_as_the_server_makes_it() -> None:
    """Helm has no HMAC, and no tests of ours have Helm: the recipe itself is compared."""
    found = re.search(r'printf "(?P<text>[^"]+)" \$id \$secret \| sha256sum \| trunc 40', TEMPLATE)
    assert found is not None
    assert found["text"] % ("AK", "secret") == "trainshed-reader/AK/secret"
    assert re.search(rf"AWS_ACCESS_KEY_ID: {keys.READER}{{{{ \$id }}}}", TEMPLATE)


def test_the_secret_is_called_what_the_plugin_looks_for() -> None:
    assert TEMPLATE.count(f"name: {routes.SECRET}\n") == 2  # the Role has its name, too
    assert f"resourceNames: [{routes.SECRET}]" in TEMPLATE

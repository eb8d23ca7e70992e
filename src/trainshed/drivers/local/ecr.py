"""``python -m trainshed.drivers.local.ecr <registry>``: who may pull from Amazon's ECR.

A process of its own: AWS's library is large, an agent lives long, and few agents pull from there.
It speaks as Docker's credential helpers do: ``{"Username", "Secret"}`` on stdout; or a reason on
stderr, and exit code 1. The keys are found where every AWS client finds them.
"""

import base64
import json
import re
import sys
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

_NAME: Final = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)"
    r"\.amazonaws\.com(?:\.cn)?"
)
_PATIENCE_S: Final = 15


class NoAccess(Exception):
    """Nobody is known who may pull there."""


def credentials(registry: str) -> dict[str, str]:
    """Return ``{"ServerURL", "Username", "Secret"}`` for a registry's host name.

    Raises:
        NoAccess: there are no AWS credentials, or they are not good for this.
    """
    named = _NAME.fullmatch(registry)
    if named is None:
        raise NoAccess(f"{registry} is not called as Amazon's registries are")
    config = Config(
        region_name=named["region"],
        use_fips_endpoint=bool(named["fips"]),
        connect_timeout=_PATIENCE_S,
        read_timeout=_PATIENCE_S,
        retries={"max_attempts": 2},
    )
    try:
        client: Any = botocore.session.Session().create_client("ecr", config=config)
        answer = client.get_authorization_token(registryIds=[named["account"]])
    except NoCredentialsError as error:
        raise NoAccess(
            "this machine has no AWS credentials (aws configure, an instance profile, or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the server was started)"
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise NoAccess(f"AWS gives no access to {registry}: {error}") from error
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, secret = token.partition(":")
    return {"ServerURL": registry, "Username": user, "Secret": secret}


def main(arguments: list[str]) -> int:
    """Print what the registry named on the command line wants; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m trainshed.drivers.local.ecr <registry>\n")
        return 2
    try:
        found = credentials(arguments[0])
    except NoAccess as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``trainshed aws-env``: what points any AWS client at the server."""

import shlex

from trainshed.cli import session
from trainshed.cli.options import DataDir


def aws_env(data_dir: DataDir = None) -> None:
    """Print shell lines that point AWS clients here: eval "$(trainshed aws-env)"."""
    found, _ = session.ensure(data_dir)
    keys = found.credentials
    exports = {
        "AWS_ENDPOINT_URL": found.url,
        "AWS_REGION": keys.region,
        "AWS_DEFAULT_REGION": keys.region,
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
    }
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")
    # A profile or a token of a real account would go before the keys.
    print("unset AWS_PROFILE AWS_SESSION_TOKEN")

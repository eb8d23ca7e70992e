"""What each operation means: checked dict -> domain -> store -> dict."""

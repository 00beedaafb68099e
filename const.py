"""What several files of the addon share."""

ROUTE_PREFIX = "/iused/v1"
KEY_SCOPE = "iused"  # of the API keys that iUsed calls with
LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}

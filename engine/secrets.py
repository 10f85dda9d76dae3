"""Keys and passwords from the system's keyring, if there is one."""

from __future__ import annotations

SERVICE = "scrubjay"


def from_keyring(user: str) -> str | None:
    """What the keyring keeps for a user of the service `scrubjay`, which is a URL; else None.

    It may take long: a keyring may ask its owner.
    """
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        found: str | None = keyring.get_password(SERVICE, user)
    except keyring.errors.KeyringError:
        # A locked or absent keyring is a user without a key; the server will say if it wants one.
        return None
    return found

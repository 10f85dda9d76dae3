"""Keys and passwords in the system's keyring, if there is one."""

from __future__ import annotations

from contextlib import suppress

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


def keep_in_keyring(user: str, secret: str) -> bool:
    """Keep something for a user of the service. False where there is no keyring that takes it."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return False
    try:
        keyring.set_password(SERVICE, user, secret)
    except keyring.errors.KeyringError:
        return False
    return True


def forget_in_keyring(user: str) -> None:
    """Keep nothing for a user of the service, if there is a keyring."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return
    with suppress(keyring.errors.KeyringError):
        keyring.delete_password(SERVICE, user)

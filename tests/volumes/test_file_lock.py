"""A lock says who holds it, also where files cannot be locked."""

import errno
import sys

import pytest

from keras_unet3d.volumes.file_lock import locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="has no such locks")


def test_one_may_hold_it_or_all_that_share_it(tmp_path):
    with (tmp_path / "lock").open("a+") as one, (tmp_path / "lock").open("a+") as other:
        assert locked(one, shared=True)
        assert locked(other, shared=True)
        assert not locked(other)
    with (tmp_path / "lock").open("a+") as one, (tmp_path / "lock").open("a+") as other:
        assert locked(one)
        assert not locked(other, shared=True)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EACCES])
def test_whoever_is_told_to_wait_does_not_hold_it(tmp_path, monkeypatch, code):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(code, "held")))
    with (tmp_path / "lock").open("a+") as file:
        assert not locked(file)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EBADF, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, code):
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(code, "not there")))
    with (tmp_path / "lock").open("a+") as file, pytest.warns(UserWarning, match=r"no locks \(not there\)"):
        assert locked(file)

"""The log of strace is read rightly: what is forbidden is found, what is harmless is not."""

from __future__ import annotations

import pytest

from tools.canary import findings

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    "line",
    [
        '7 openat(AT_FDCWD, "/tmp/canary-x/secret-canary.wav", O_RDONLY|O_CLOEXEC) = 5',
        '7 openat(AT_FDCWD, "secret-canary.wav", O_RDONLY) = -1 EMFILE (Too many open files)',
        '7 connect(5, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("1.2.3.4")}) = 0',
        '7 sendto(5, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53)}, 28) = 1',
        '7 bind(5, {sa_family=AF_INET, sin_port=htons(49170), sin_addr=inet_addr("0.0.0.0")}) = 0',
    ],
)
def test_reading_the_canary_and_reaching_out_are_found(line: str) -> None:
    assert findings([line]) == [line]


@pytest.mark.parametrize(
    "line",
    [
        '7 openat(AT_FDCWD, "/tmp/canary-x/secret-canary.wav", O_WRONLY|O_CREAT, 0666) = 5',
        '7 openat(AT_FDCWD, "tools/canary.py", O_RDONLY|O_CLOEXEC) = 5',
        '7 connect(5, {sa_family=AF_UNIX, sun_path="/run/nscd"}, 110) = -1 ENOENT',
        '7 bind(5, {sa_family=AF_INET, sin_port=htons(0), inet_addr("127.0.0.1")}) = 0',
        "7 bind(5, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0",
    ],
)
def test_the_servers_of_tests_and_local_sockets_are_not(line: str) -> None:
    assert not findings([line])

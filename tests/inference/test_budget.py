"""How much memory there is, by files such as those of Docker, Kubernetes and Slurm."""

import sys
from types import SimpleNamespace

import psutil
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.inference import budget
from keras_unet3d.inference.budget import default_budget, free_memory, parse_memory, shown

GB = 10**9
UNLIMITED = 9223372036854771712  # version 1 writes it so
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="control groups and these limits are Linux'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6GB", 6 * GB),
        ("6 GB", 6 * GB),
        (" 6gb ", 6 * GB),
        ("6G", 6 * GB),
        ("1.5G", 1_500_000_000),
        (".5 gb", 500_000_000),
        ("6000MB", 6 * GB),
        ("500M", 500_000_000),
        ("6GiB", 6_442_450_944),
        ("512 mib", 536_870_912),
        ("1.1GB", 1_100_000_000),
    ],
)
def test_memory_as_people_write_it(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6", "6GB or 6MB"),
        ("6.5", r"6\.5GB or 6\.5MB"),
        ("75%", "6GB, 1.5GB, 500MB or 6GiB"),
        ("0GB", "above 0"),
        ("-6GB", "'-6GB'"),
        ("6 bananas", "'6 bananas'"),
        ("6Gb/s", "'6Gb/s'"),
        ("1,5GB", "1.5GB"),
        ("GB", "'GB'"),
        ("", "''"),
    ],
)
def test_what_is_no_memory(text, message):
    with pytest.raises(InputError, match=message):
        parse_memory(text)


@pytest.mark.parametrize(
    ("amount", "nearest", "up"),
    [
        (6 * GB, "6.0 GB", "6.0 GB"),
        (5_240_000_000, "5.2 GB", "5.3 GB"),
        (5_200_000_000, "5.2 GB", "5.2 GB"),
        (999_600_000, "1.0 GB", "1.0 GB"),
        (123_400_000, "123 MB", "124 MB"),
    ],
)
def test_memory_as_people_read_it(amount, nearest, up):
    assert shown(amount) == nearest
    assert shown(amount, rounded_up=True) == up
    assert parse_memory(up) >= amount


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with 20 GB free, and a function that writes files of it: name → content."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=20 * GB))
    monkeypatch.setattr(budget, "_left_of_limits", lambda: iter(()))

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{content}\n")
        return free_memory(tmp_path / "cgroup", tmp_path / "proc")

    return write


@on_linux
class TestControlGroups:
    def test_a_container_of_version_2_sees_its_own_group_as_the_root(self, machine):
        free = machine(
            {
                "proc/cgroup": "0::/",
                "cgroup/memory.max": 8 * GB,
                "cgroup/memory.current": 5 * GB,
                # Shared memory counts as "file" and stays; what lies in the two lists goes when it has to.
                "cgroup/memory.stat": f"anon {GB}\nfile {4 * GB}\nshmem {GB}\ninactive_file {2 * GB}\nactive_file {GB}",
            }
        )
        assert free == 8 * GB - (5 - 2 - 1) * GB

    def test_the_tightest_group_up_to_the_root_counts(self, machine):
        job = "cgroup/system.slice/slurm/job_1"
        files = {
            "proc/cgroup": "0::/system.slice/slurm/job_1/step_0",
            f"{job}/step_0/memory.max": "max",
            f"{job}/step_0/memory.current": GB,
            f"{job}/memory.max": 4 * GB,
            f"{job}/memory.current": 1 * GB,
            "cgroup/system.slice/memory.max": 16 * GB,
            "cgroup/system.slice/memory.current": 2 * GB,
        }
        assert machine(files) == 3 * GB
        assert machine({"cgroup/system.slice/memory.current": 15 * GB}) == GB
        assert machine({f"{job}/step_0/memory.high": int(1.5 * GB)}) == GB // 2

    def test_version_1(self, machine):
        group = "cgroup/memory/slurm/uid_7/job_1"
        free = machine(
            {
                "proc/cgroup": "9:cpu,cpuacct:/elsewhere\n4:memory:/slurm/uid_7/job_1/step_0\n0::/",
                f"{group}/step_0/memory.limit_in_bytes": UNLIMITED,
                f"{group}/step_0/memory.usage_in_bytes": 2 * GB,
                f"{group}/memory.limit_in_bytes": 6 * GB,
                f"{group}/memory.usage_in_bytes": 4 * GB,
                f"{group}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB}\ntotal_active_file {GB // 2}",
                "cgroup/memory/memory.limit_in_bytes": UNLIMITED,
                "cgroup/memory/memory.usage_in_bytes": 9 * GB,
                "cgroup/cpu,cpuacct/elsewhere/memory.limit_in_bytes": 1,
            }
        )
        assert free == int(3.5 * GB)

    def test_a_container_of_version_1_has_the_path_of_the_host(self, machine):
        free = machine(
            {
                "proc/cgroup": "4:memory:/docker/0123",
                "cgroup/memory/memory.limit_in_bytes": 3 * GB,
                "cgroup/memory/memory.usage_in_bytes": GB,
            }
        )
        assert free == 2 * GB

    def test_a_group_above_what_the_container_sees(self, machine):
        files = {"proc/cgroup": "0::/../..", "cgroup/memory.max": 3 * GB, "cgroup/memory.current": GB, "memory.max": 1}
        assert machine(files) == 2 * GB

    def test_no_more_than_the_machine_has_and_no_less_than_nothing(self, machine):
        assert machine({"proc/cgroup": "0::/", "cgroup/memory.max": 64 * GB, "cgroup/memory.current": GB}) == 20 * GB
        assert machine({"cgroup/memory.max": GB, "cgroup/memory.current": 2 * GB}) == 0

    @pytest.mark.parametrize(
        "files",
        [
            {},
            {"proc/cgroup": "0::/"},
            {"proc/cgroup": "what is this"},
            {"proc/cgroup": "0::/", "cgroup/memory.max": "max", "cgroup/memory.current": GB},
            {"proc/cgroup": "0::/", "cgroup/memory.max": GB},
            {"proc/cgroup": "0::/", "cgroup/memory.max": "", "cgroup/memory.current": "?"},
        ],
        ids=["nothing", "no groups", "other words", "no limit", "no use", "no numbers"],
    )
    def test_what_cannot_be_read_is_no_limit(self, machine, files):
        assert machine(files) == 20 * GB

    def test_without_its_place_the_root_counts(self, machine):
        assert machine({"cgroup/memory.max": 3 * GB, "cgroup/memory.current": GB}) == 2 * GB

    def test_statistics_of_another_form_say_that_nothing_is_cached(self, machine):
        files = {"cgroup/memory.max": 3 * GB, "cgroup/memory.current": GB, "cgroup/memory.stat": "inactive_file\nx y z"}
        assert machine(files) == 2 * GB


@on_linux
@pytest.mark.parametrize(("kind", "expected"), [("RLIMIT_AS", 4 * GB), ("RLIMIT_DATA", 5 * GB)])
def test_limits_of_the_process_count_what_it_holds(monkeypatch, tmp_path, kind, expected):
    import resource

    held = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=GB, vms=3 * GB, data=2 * GB))
    limits = {getattr(resource, kind): (7 * GB, resource.RLIM_INFINITY)}
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=20 * GB))
    monkeypatch.setattr(psutil, "Process", lambda: held)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits.get(asked, (resource.RLIM_INFINITY,) * 2))
    assert free_memory(tmp_path, tmp_path) == expected


def test_elsewhere_what_the_machine_has_counts(machine, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine({"cgroup/memory.max": GB, "cgroup/memory.current": 0}) == 20 * GB


def test_by_default_three_quarters_of_what_is_free_beside_what_is_held(monkeypatch):
    held = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=GB))
    monkeypatch.setattr(psutil, "Process", lambda: held)
    monkeypatch.setattr(budget, "free_memory", lambda: 8 * GB)
    assert default_budget() == 7 * GB


def test_this_machine_has_memory():
    assert 0 < free_memory() <= psutil.virtual_memory().total
    assert default_budget() > 0

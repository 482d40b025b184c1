"""What computes, and in which precision."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from keras_unet3d.inference import devices
from keras_unet3d.inference.devices import chosen_precision, has_bfloat16

CPU = (None,)


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu sse4_2 avx512f avx512_bf16 fma\n", True),
        ("processor: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("processor: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", False),
        ("processor: 0\nflags\t\t: fpu avx512_bf16x\n", False),
        ("processor: 0\nbugs: avx512_bf16\nFeatures: fp asimd bf16\n", False),
        ("", False),
    ],
)
def test_processors_with_bfloat16_say_so(cpuinfo, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert has_bfloat16(CPU, tmp_path / "cpuinfo") is expected


def test_a_system_that_says_nothing_has_none(tmp_path):
    assert has_bfloat16(CPU, tmp_path / "missing") is False


@pytest.mark.parametrize(
    ("asked", "agrees", "able", "expected"),
    [
        ("auto", True, True, "bfloat16"),
        ("auto", True, False, "float32"),
        ("auto", False, True, "float32"),
        ("float32", True, True, "float32"),
        ("bfloat16", False, False, "bfloat16"),
    ],
)
def test_what_was_asked_for_is_taken_else_what_is_faster_and_agrees(asked, agrees, able, expected, monkeypatch):
    monkeypatch.setattr(devices, "has_bfloat16", lambda _: able)
    assert chosen_precision(asked, agrees=agrees, names=CPU) == expected


def test_without_a_gpu_the_processor_computes():
    assert devices.devices() == CPU
    assert devices.gpu_memory() is None


def test_two_devices_share_the_tiles_of_a_volume_and_give_what_one_gives():
    script = Path(__file__).with_name("two_devices.py")
    run = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    for normalization, rounding in (("batch", 1e-5), ("instance", 2e-4)):
        of_network = found[normalization]
        assert of_network["tiles"] >= 2
        assert of_network["computed"] == ["CPU:0", "CPU:1"]
        assert of_network["furthest"] < rounding < of_network["spread"] / 100

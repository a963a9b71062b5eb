"""What the kernels of real boards say, as recorded by their owners, laid out below a folder."""

from pathlib import Path

_A76 = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x4\nCPU part\t: 0xd0b\n"
_A78AE = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd42\n"
_A57 = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd07\n"

PI5 = {
    "proc/cpuinfo": _A76 * 4,
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
}
# PCI id and driver version: kernel log in nerves_system_rpi5#39.
HAILO = PI5 | {
    "sys/bus/pci/devices/0001:01:00.0/vendor": "0x1e60\n",
    "sys/bus/pci/devices/0001:01:00.0/device": "0x2864\n",
    "sys/bus/pci/devices/0001:01:00.0/current_link_speed": "8.0 GT/s PCIe\n",
    "sys/bus/pci/devices/0001:01:00.0/current_link_width": "1\n",
    "sys/module/hailo_pci/version": "4.20.0\n",
}
ORIN_NANO = {
    "proc/cpuinfo": _A78AE * 6,
    "proc/device-tree/model": (
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0"
    ),
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, "
        "DATE: Thu Sep 18 22:54:44 UTC 2025\n# KERNEL_VARIANT: oot\n"
    ),
    "var/lib/nvpmodel/status": "pmode:0002\n",
    "etc/nvpmodel.conf": (
        "< POWER_MODEL ID=0 NAME=15W >\nCPU_ONLINE CORE_0 1\n< POWER_MODEL ID=1 NAME=25W >\n"
        "< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n< POWER_MODEL ID=3 NAME=7W >\n"
    ),
    "var/lib/dpkg/status": (
        "Package: nvidia-jetpack\nStatus: install ok installed\nPriority: standard\n"
        "Version: 6.2.1+b38\n\nPackage: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.11\n"
    ),
}
AGX_ORIN = {
    "proc/cpuinfo": _A78AE * 12,
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
}
NANO = {
    "proc/cpuinfo": _A57 * 4,
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    # JetPack 4's file has the fan's mode too.
    "var/lib/nvpmodel/status": "pmode:0000 fmode:quiet\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=5W >\n",
}
CORAL_USB = {
    "proc/cpuinfo": "model name\t: Intel(R) Core(TM) i5\n",
    "sys/bus/usb/devices/2-1/idVendor": "18d1\n",
    "sys/bus/usb/devices/2-1/idProduct": "9302\n",
    "sys/bus/usb/devices/2-1/speed": "5000\n",
    "var/lib/dpkg/status": (
        "Package: libedgetpu1-std\nStatus: install ok installed\nVersion: 16.0\n\n"
    ),
}
CORAL_PCIE = {
    "proc/cpuinfo": "model name\t: Intel(R) Core(TM) i5\n",
    "sys/bus/pci/devices/0000:03:00.0/vendor": "0x1ac1\n",
    "sys/bus/pci/devices/0000:03:00.0/device": "0x089a\n",
    "sys/bus/pci/devices/0000:03:00.0/current_link_speed": "5.0 GT/s PCIe\n",
    "sys/bus/pci/devices/0000:03:00.0/current_link_width": "1\n",
    "sys/module/apex/version": "1.2\n",
}
# `hailortcli fw-control identify`: Pi 5 with the AI Kit; with the AI HAT+, 26 TOPS, whose board
# has no serial number.
IDENTIFY_8L = """\
Executing on device: 0001:01:00.0
Identifying board
Control Protocol Version: 2
Firmware Version: 4.20.0 (release,app,extended context switch buffer)
Logger Version: 0
Board Name: Hailo-8
Device Architecture: HAILO8L
Serial Number: HLDDLBB243201979
Part Number: HM21LB1C2LAE
Product Name: HAILO-8L AI ACC M.2 B+M KEY MODULE EXT TMP
"""
IDENTIFY_8 = """\
Executing on device: 0001:01:00.0
Identifying board
Control Protocol Version: 2
Firmware Version: 4.20.0 (release,app,extended context switch buffer)
Logger Version: 0
Board Name: Hailo-8
Device Architecture: HAILO8
Serial Number: <N/A>
Part Number: <N/A>
Product Name: <N/A>
"""


def lay_out(root: Path, files: dict[str, str]) -> Path:
    """Write a board's files below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root

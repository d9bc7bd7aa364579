"""Boards as their kernels show them: files below a folder, that a test writes and changes.

pi = BoardSimulator(tmp_path); pi.raspberry(throttled=0x50005, milli=81_000)
Sampler(folder, root=pi.root, …)
"""

from pathlib import Path


class BoardSimulator:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("proc/loadavg", "0.42 0.30 0.20 1/123 4567")
        self.put("proc/uptime", "86400.12 300000.00")
        self.put("proc/meminfo", "MemTotal:        1024000 kB\nMemAvailable:     512000 kB")
        self.put("proc/sys/kernel/random/boot_id", "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
        for cpu in range(4):
            self.put(f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq", "1500000")

    def put(self, name: str, text: str) -> Path:
        """Write what a file of the kernel says, with its newline."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
        return path

    def raspberry(self, *, throttled: int = 0, milli: int = 48_200, soc: str = "soc") -> None:
        self.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.put(f"sys/devices/platform/{soc}/{soc}:firmware/get_throttled", f"{throttled:x}")
        self.zone(0, "cpu-thermal", milli)

    def zone(self, n: int, kind: str, milli: int) -> None:
        self.put(f"sys/class/thermal/thermal_zone{n}/type", kind)
        self.put(f"sys/class/thermal/thermal_zone{n}/temp", str(milli))

    def coral(self, milli: int) -> None:
        """Plug an Edge TPU into PCIe."""
        self.put("sys/class/apex/apex_0/temp", str(milli))

    def stick(self) -> None:
        """Plug one into USB."""
        self.put("sys/bus/usb/devices/1-1.2/idVendor", "18d1")
        self.put("sys/bus/usb/devices/1-1.2/idProduct", "9302")

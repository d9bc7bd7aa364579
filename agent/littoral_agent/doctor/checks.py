"""All that is looked at, in the order in which it is told."""

from typing import Final

from littoral_agent.doctor import (
    condition,
    coral,
    identity,
    network,
    runtimes,
    services,
    software,
    sources,
    units,
)
from littoral_agent.doctor.finding import Check

CHECKS: Final = (
    Check("python", "software", "the interpreter, 64 bits, the C library", software.python),
    Check("packages", "software", "each Python package, and its version", software.packages),
    Check("pycoral", "software", "the unrelated package of this name", software.pycoral),
    Check(
        "litert",
        "software",
        "LiteRT loads, and runs a tiny model rightly: in a child",
        runtimes.litert,
        within_s=runtimes.WITHIN_S,
    ),
    Check("coral-usb", "accelerators", "ids, udev's rule, group, speed, serve's unit", coral.usb),
    Check("coral-pcie", "accelerators", "ids, driver, DKMS, node, group, serve's unit", coral.pcie),
    Check(
        "libedgetpu",
        "accelerators",
        "the library loads, sees the Corals and works with LiteRT: in a child",
        runtimes.edgetpu,
        within_s=runtimes.WITHIN_S,
    ),
    Check(
        "nvidia",
        "accelerators",
        "driver, CUDA, cuDNN and TensorRT say their versions: in a child",
        runtimes.nvidia,
        within_s=runtimes.WITHIN_S,
    ),
    Check(
        "clock", "board", "synchronised, kept over a power cut, not in the past", condition.clock
    ),
    Check("disk", "board", "room, files, read-only, in memory", condition.disk),
    Check("wear", "board", "what flash says of its age", condition.wear),
    Check("memory", "board", "what is free, and who was ended for want of it", condition.memory),
    Check("swap", "board", "none on a card", condition.swap),
    Check("power", "board", "heat, throttling, under-voltage", condition.supply),
    Check(
        "enrolment", "identity", "who this device is, and that it is this board", identity.enrolled
    ),
    Check("certificate", "identity", "its key, its chain, its end", identity.certificate),
    Check("root", "identity", "the root of trust, and its end", identity.root),
    Check("proxy", "network", "whether it connects to the console", sources.proxy),
    Check("console", "network", "name, port, TLS, its CA, its signed time", network.console),
    Check("broker", "network", "name, port, TLS, whether it takes the certificate", network.broker),
    Check("sources", "network", "copies and folders hold a repository", sources.sources),
    Check("folder", "services", "whose the data folder is, and who may look", services.folder),
    Check(
        "settings",
        "services",
        "agent.toml and serve.toml, as `littoral config check`",
        services.settings,
        within_s=30.0,
    ),
    Check("units", "services", "systemd's units: running, enabled, watched", units.units),
    Check("agent", "services", "it runs, and its console hears it", services.agent),
    Check("serve", "services", "it takes orders, and answers clients", services.serve),
    Check("watchdog", "services", "the board's own, for a kernel that hangs", units.watchdog),
)

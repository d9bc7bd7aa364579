"""Real boots: Debian trees that systemd starts, with littoral's packages installed by apt.

make test-boot                          amd64, the whole story
make test-boot ARGS="--arch arm64"      the same below qemu
"""

"""An agent that breaks a rule: python -m faults.broken RULE, and what the agent is told."""

import runpy
import sys

from faults import network_teeth, teeth

if __name__ == "__main__":
    (teeth.BROKEN | network_teeth.BROKEN)[sys.argv.pop(1)]()
    runpy.run_module("littoral_agent", run_name="__main__", alter_sys=True)

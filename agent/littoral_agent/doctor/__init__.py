"""What is wrong with this machine as a device, and the command that mends it.

It looks and changes nothing. It knows no model and loads no runtime: what may take its process
down is tried in a child.
"""

"""The fleet: enrolment, devices, releases, rollouts, telemetry; web, REST, broker."""
